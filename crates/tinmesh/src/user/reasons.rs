//! Why packets for a node do not go straight by UDP, in words, and what can be done about it.

use super::units;
use crate::control::dump::HindranceLine;

/// The daemon's word for [`Hindrance::TcpOnlyHere`](tinmesh_core::node::io::Hindrance).
pub(super) const TCP_ONLY_HERE: &str = "tcp-only-here";

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    /// What is so.
    pub says: String,
    /// What the user could do; `None`: nothing, or wait.
    pub advice: Option<String>,
}

/// The reason that the daemon gives; `None` if it uses a word that this program does not know.
pub(super) fn reason(line: &HindranceLine) -> Option<Reason> {
    let [count, seconds] = line.numbers;
    let pass_on = "pass the UDP port of one of the two on in its router, or open it in its firewall";
    let (says, advice) = match line.word.as_str() {
        TCP_ONLY_HERE => ("TCPOnly is set on this machine".to_owned(), Some("sudo tinmesh del TCPOnly")),
        "tcp-only-there" => ("TCPOnly is set there".to_owned(), Some("take TCPOnly out of its configuration")),
        "indirect" => (
            "IndirectData is set there or on the way: only its neighbours may write to it".to_owned(),
            Some("take IndirectData out, if others can reach it"),
        ),
        "idle" => ("there were no packets lately, so no path was looked for".to_owned(), None),
        "no-keys" => ("the two are still agreeing on keys".to_owned(), None),
        "no-address" => (
            "nobody in the network says at which address it is".to_owned(),
            Some("connect it to a node that others can reach"),
        ),
        "no-answer" if count == 0 => ("the first probe is on its way".to_owned(), None),
        "no-answer" => {
            (format!("{count} probes by UDP were not answered: something on the way drops them"), Some(pass_on))
        }
        "guessing" => ("the ports that NATs give are being guessed just now".to_owned(), None),
        "guessed" => {
            let next = units::roughly(seconds);
            let says = format!("the ports that NATs give were guessed in vain, {count} times; again in {next}");
            (says, Some(pass_on))
        }
        "lossy" => (
            "so many UDP packets are lost that TCP carries more".to_owned(),
            Some("ask the providers of both why UDP is throttled"),
        ),
        _ => return None,
    };
    Some(Reason { says, advice: advice.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(word: &str, numbers: [u64; 2]) -> HindranceLine {
        HindranceLine { node: "bob".to_owned(), word: word.to_owned(), numbers }
    }

    #[test]
    fn every_word_of_the_daemon_has_a_sentence() {
        let words =
            ["tcp-only-here", "tcp-only-there", "indirect", "idle", "no-keys", "no-address", "no-answer", "guessing"];
        for word in words.iter().chain(&["guessed", "lossy"]) {
            let reason = reason(&line(word, [3, 120])).unwrap();
            assert!(!reason.says.is_empty() && !reason.says.ends_with('.'), "{word}");
        }
        assert_eq!(reason(&line("something-new", [0, 0])), None);
        let reason = reason(&line("guessed", [3, 120])).unwrap();
        assert_eq!(reason.says, "the ports that NATs give were guessed in vain, 3 times; again in 2 min");
        assert!(reason.advice.unwrap().contains("UDP port"));
    }
}
