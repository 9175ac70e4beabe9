//! What the daemon tells of the paths to other nodes.

use std::fmt;

use tinmesh_core::node::io::{PathInfo, PathSizes};
use tinmesh_core::peer::lifetime::Known;

use super::{Line, Words};

/// The path to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathLine {
    /// The node.
    pub node: String,
    /// Whether UDP works both ways.
    pub direct: bool,
    /// Seconds between keep-alives.
    pub keepalive: u64,
    /// What was found out about that; `None`: it is not to be found out.
    pub lifetime: Option<Known>,
    /// What sizes pass.
    pub sizes: PathSizes,
    /// By how many seconds the node's clock is ahead of this machine's.
    pub clock_ahead: Option<i64>,
}

impl From<&PathInfo> for PathLine {
    fn from(path: &PathInfo) -> Self {
        let (node, direct, keepalive) = (path.name.to_string(), path.direct, path.keepalive.as_secs());
        Self { node, direct, keepalive, lifetime: path.lifetime, sizes: path.sizes, clock_ahead: path.clock_ahead }
    }
}

/// The words after the type: name, whether it is direct, seconds between keep-alives, `fixed` or what was found out, the
/// longest silence that did no harm, the shortest that did or 0; the size that the system says, how often it fell, the size that
/// was found, whether the system does not know that; how far the clock is ahead. `-`: not known.
impl fmt::Display for PathLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.node, u8::from(self.direct), self.keepalive)?;
        match self.lifetime {
            None => write!(f, " fixed 0 0")?,
            Some(Known { stood, fell, learning }) => {
                write!(f, " {} {stood} {}", if learning { "learning" } else { "learnt" }, fell.unwrap_or(0))?;
            }
        }
        let PathSizes { told, narrowed, found, untold } = self.sizes;
        write!(f, " {} {narrowed} {} {} {}", or_dash(told), or_dash(found), u8::from(untold), or_dash(self.clock_ahead))
    }
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

impl Line for PathLine {
    const WHAT: &'static str = "path";
    const KIND: u32 = crate::control::request::kind::PATHS;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (node, direct, keepalive) = (words.text()?, words.number::<u8>()? != 0, words.number()?);
        let word = words.text()?;
        let (stood, fell) = (words.number()?, words.number()?);
        let lifetime = Known { stood, fell: Some(fell).filter(|&fell| fell != 0), learning: word == "learning" };
        let lifetime = Some(lifetime).filter(|_| word != "fixed");
        let (told, narrowed, found) = (words.number_or_dash()?, words.number()?, words.number_or_dash()?);
        let sizes = PathSizes { told, narrowed, found, untold: words.number::<u8>()? != 0 };
        Some(Self { node, direct, keepalive, lifetime, sizes, clock_ahead: words.number_or_dash()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        for text in [
            "bob 1 10 fixed 0 0 - 0 - 0 -",
            "bob 0 56 learnt 113 160 1500 0 1500 0 0",
            "bob 1 10 learning 0 0 1500 2 1400 1 -95",
            "bob 1 120 learnt 240 0 1500 0 - 0 95",
        ] {
            assert_eq!(PathLine::parse(text).unwrap().to_string(), text);
        }
        let line = PathLine::parse("bob 1 7 learning 14 20 - 0 - 0 - and more").unwrap();
        assert_eq!(line.lifetime, Some(Known { stood: 14, fell: Some(20), learning: true }));
        for text in ["bob", "bob 1 7 learnt 14", "bob yes 7 learnt 14 20 - 0 - 0 -", "bob 1 7 learnt 14 20"] {
            assert!(PathLine::parse(text).is_err(), "{text}");
        }
    }
}
