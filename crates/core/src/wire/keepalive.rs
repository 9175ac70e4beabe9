//! How long a node may leave a path silent, told to the other end (docs/protocol.md, "Keep-alives").
//!
//! ```text
//!  12 · seconds 2
//! ```

use std::time::Duration;

/// The kind of the message.
pub const KEEPALIVE: u8 = 12;

/// The longest time for which a second answer of reflection is put off.
const LONGEST: u16 = 300;
/// A node writes to another port of the asker no more often than this.
pub const REST: Duration = Duration::from_millis(900);

/// After how long an answer is wanted that was ordered for so many seconds; `None`: none is, or none can be had.
pub fn delay(seconds: u16) -> Option<Duration> {
    (1..=LONGEST).contains(&seconds).then(|| Duration::from_secs(seconds.into()))
}

/// Reads what follows the kind; `None` if it is no message.
pub fn parse(payload: &[u8]) -> Option<Duration> {
    let seconds = u16::from_be_bytes(payload.try_into().ok()?);
    (seconds != 0).then(|| Duration::from_secs(seconds.into()))
}

/// The bytes, kind included; part of a second does not count.
pub fn encode(interval: Duration) -> [u8; 3] {
    let [high, low] = u16::try_from(interval.as_secs()).unwrap_or(u16::MAX).max(1).to_be_bytes();
    [KEEPALIVE, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_layout_of_the_table() {
        assert_eq!(encode(Duration::from_millis(300_500)), [12, 1, 44]);
        assert_eq!(parse(&[1, 44]), Some(Duration::from_secs(300)));
        assert_eq!(encode(Duration::ZERO), [12, 0, 1]);
        assert_eq!(encode(Duration::from_secs(100_000)), [12, 255, 255]);
        for wrong in [&[][..], &[1], &[0, 0], &[0, 1, 0]] {
            assert_eq!(parse(wrong), None);
        }
    }
}
