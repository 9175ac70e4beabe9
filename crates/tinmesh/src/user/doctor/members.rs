//! What can be said of this machine by comparing it with other nodes: its clock, and whether errors of routers reach it.

use std::collections::BTreeMap;

use tinmesh_os::clock::EARLIEST;

use super::{Check, State};
use crate::control::dump::paths::PathLine;

/// Clocks that differ by more seconds are worth a word: statements end by the second, and logs are compared.
const TOLERANCE: u64 = 30;

/// Whether the clock is right, as far as others say what time it is.
pub(super) fn clock(unix_ms: u64, paths: &[PathLine]) -> Check {
    let topic = "clock";
    let service = "start a time service, such as systemd-timesyncd or chrony";
    if unix_ms < EARLIEST {
        let says = "it was never set: statements that end cannot be judged".to_owned();
        return Check::new(topic, State::Bad, says).advise(service);
    }
    let mut told: Vec<(i64, &str)> =
        paths.iter().filter_map(|path| Some((path.clock_ahead?, path.node.as_str()))).collect();
    told.sort_unstable();
    let Some(median) = median(&told) else {
        let says = "it was set; no other node has said yet what time it is";
        return Check::new(topic, State::Good, says.to_owned());
    };
    if median.unsigned_abs() > TOLERANCE {
        let by = difference(-median);
        return match told.as_slice() {
            [(_, node)] => {
                let says = format!("it is {by} that of {node}: one of the two is wrong");
                Check::new(topic, State::Note, says).advise(format!("compare both with a watch; then {service}"))
            }
            all => {
                Check::new(topic, State::Bad, format!("it is {by} those of {} other nodes", all.len())).advise(service)
            }
        };
    }
    let wrong: Vec<String> = told
        .iter()
        .filter(|(ahead, _)| ahead.abs_diff(median) > TOLERANCE)
        .map(|(ahead, node)| format!("that of {node} is {} it", difference(*ahead)))
        .collect();
    let says = match told.len() - wrong.len() {
        1 => format!("as that of one other node, within {TOLERANCE} s"),
        count => format!("as those of {count} other nodes, within {TOLERANCE} s"),
    };
    if wrong.is_empty() {
        Check::new(topic, State::Good, says)
    } else {
        let says = format!("{says}; {}", wrong.join(", "));
        Check::new(topic, State::Note, says).advise(format!("there: {service}"))
    }
}

/// The one in the middle; of two in the middle that which is less wrong, as it takes more than half to prove this clock wrong.
fn median(sorted: &[(i64, &str)]) -> Option<i64> {
    let last = sorted.len().checked_sub(1)?;
    let middle = [last / 2, last.div_ceil(2)].map(|at| sorted.get(at).map(|(ahead, _)| *ahead));
    middle.into_iter().flatten().min_by_key(|ahead| ahead.unsigned_abs())
}

fn difference(ahead: i64) -> String {
    let seconds = ahead.unsigned_abs();
    let time = match seconds {
        0..=299 => format!("{seconds} s"),
        300..=17_999 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    };
    format!("{time} {}", if ahead < 0 { "behind" } else { "ahead of" })
}

/// Whether routers' word that a packet is too long gets here; `links` is what the links towards nodes take.
pub(super) fn icmp(paths: &[PathLine], links: &BTreeMap<String, u16>) -> Check {
    let topic = "ICMP";
    let direct = || paths.iter().filter(|path| path.direct);
    let untold =
        direct().find_map(|path| Some((path, path.sizes.found.filter(|_| path.sizes.untold)?, path.sizes.told?)));
    let heard = direct().find_map(|path| {
        let (told, link) = (path.sizes.told?, *links.get(&path.node)?);
        (told < link || path.sizes.narrowed > 0).then_some((path, told, link))
    });
    let heard = heard.map(|(path, told, link)| {
        format!("the system was told that the path to {} takes {told} bytes (the link: {link})", path.node)
    });
    if let Some((path, found, told)) = untold {
        let silent = format!(
            "the path to {} takes {found} bytes and no router said so: the system believes {told}; found by probes",
            path.node
        );
        let says = heard.map_or_else(|| silent.clone(), |heard| format!("{silent}; but {heard}"));
        let advice =
            "tinmesh does without; other programs may hang: let \"too big\" in (ICMP type 3 code 4, ICMPv6 type 2)";
        return Check::new(topic, State::Note, says).advise(advice);
    }
    if let Some(heard) = heard {
        return Check::new(topic, State::Good, format!("errors of routers get here, or were not needed: {heard}"));
    }
    if direct().any(|path| path.sizes.found.is_some()) {
        let says = "not needed so far: each path that was searched takes what its link takes";
        return Check::new(topic, State::Good, says.to_owned());
    }
    Check::new(topic, State::Unknown, "not known: no direct path was searched yet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::dump::Line as _;

    fn paths(lines: &[&str]) -> Vec<PathLine> {
        lines.iter().map(|line| PathLine::parse(line).unwrap()).collect()
    }

    #[test]
    fn the_clock_is_compared_with_the_median_of_others() {
        let check = |ahead: &[i64]| {
            let name = |at: usize| ["bob", "carol", "dave", "erin"][at];
            let lines: Vec<String> = ahead
                .iter()
                .enumerate()
                .map(|(at, ahead)| format!("{} 1 10 fixed 0 0 - 0 - 0 {ahead}", name(at)))
                .collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let check = clock(EARLIEST, &paths(&lines));
            (check.state, check.says, check.advice.is_some())
        };
        let good = |says: &str| (State::Good, says.to_owned(), false);
        assert_eq!(check(&[]), good("it was set; no other node has said yet what time it is"));
        assert_eq!(check(&[-30]), good("as that of one other node, within 30 s"));
        assert_eq!(check(&[1, 0, -1]), good("as those of 3 other nodes, within 30 s"));
        assert_eq!(
            check(&[95]),
            (State::Note, "it is 95 s behind that of bob: one of the two is wrong".to_owned(), true)
        );
        assert_eq!(check(&[95, 96, 94]), (State::Bad, "it is 95 s behind those of 3 other nodes".to_owned(), true));
        assert_eq!(
            check(&[-7_300, -7_300, 0]),
            (State::Bad, "it is 121 min ahead of those of 3 other nodes".to_owned(), true)
        );
        assert_eq!(
            check(&[0, -90_000]),
            (State::Note, "as that of one other node, within 30 s; that of carol is 25 h behind it".to_owned(), true)
        );
        assert_eq!(clock(0, &[]).state, State::Bad);
    }

    #[test]
    fn what_routers_say_is_told_apart_from_what_had_to_be_found() {
        let links = BTreeMap::from(["bob", "carol"].map(|name| (name.to_owned(), 1_500)));
        let check = |lines: &[&str]| {
            let check = icmp(&paths(lines), &links);
            (check.state, check.says)
        };
        let (state, says) = check(&["bob 1 10 fixed 0 0 1500 0 1400 1 -", "carol 1 10 fixed 0 0 1300 1 1300 0 -"]);
        assert_eq!(state, State::Note);
        assert!(says.contains("the path to bob takes 1400 bytes and no router said so: the system believes 1500"));
        assert!(
            says.contains("but the system was told that the path to carol takes 1300 bytes (the link: 1500)"),
            "{says}"
        );
        let (state, says) = check(&["bob 1 10 fixed 0 0 1300 0 1300 0 -"]);
        assert!(state == State::Good && says.starts_with("errors of routers get here"), "{says}");
        let (state, says) = check(&["bob 1 10 fixed 0 0 1500 0 1500 0 -"]);
        assert!(state == State::Good && says.starts_with("not needed so far"), "{says}");
        for lines in [&["bob 1 10 fixed 0 0 1500 0 - 0 -"][..], &["bob 0 10 fixed 0 0 - 0 - 0 -"], &[]] {
            assert_eq!(check(lines).0, State::Unknown);
        }
    }
}
