//! Variables `UPnP`, `UPnPDiscoverWait` and `UPnPRefreshPeriod` (spec: configuration 4.1).

use std::time::Duration;

use super::reader::Reader;

const DISCOVER_WAIT: Duration = Duration::from_secs(5);
const REFRESH_PERIOD: Duration = Duration::from_secs(60);

/// What routers are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upnp {
    /// Ports of TCP too, not only of UDP.
    pub tcp: bool,
    /// How long to look for a router.
    pub discover_wait: Duration,
    /// How often to ask anew.
    pub refresh_period: Duration,
}

/// Reads the variables; `None` if no router is to be asked. A word that tinc does not know means no to it.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Upnp> {
    let discover_wait = reader.seconds("UPnPDiscoverWait", DISCOVER_WAIT);
    let refresh_period = reader.seconds("UPnPRefreshPeriod", REFRESH_PERIOD);
    let word = reader.text("UPnP").unwrap_or("no").to_ascii_lowercase();
    if !["no", "yes", "udponly"].contains(&word.as_str()) {
        reader.warn(format!("UPnP = {word} means no: it is yes, udponly or no"));
    }
    (word == "yes" || word == "udponly").then(|| Upnp { tcp: word == "yes", discover_wait, refresh_period })
}
