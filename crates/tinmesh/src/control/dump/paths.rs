//! What the daemon tells of the paths to other nodes.

use std::fmt;

use tinmesh_core::node::io::PathInfo;

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
    pub lifetime: Option<Lifetime>,
}

/// How long a path may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The longest silence that did no harm, in seconds; 0: none was tried.
    pub stood: u64,
    /// The shortest that did.
    pub fell: Option<u64>,
    /// Whether more is still to be found out.
    pub learning: bool,
}

impl From<&PathInfo> for PathLine {
    fn from(path: &PathInfo) -> Self {
        let lifetime =
            path.lifetime.map(|known| Lifetime { stood: known.stood, fell: known.fell, learning: known.learning });
        Self { node: path.name.to_string(), direct: path.direct, keepalive: path.keepalive.as_secs(), lifetime }
    }
}

/// The words after the type: name, whether it is direct, seconds between keep-alives, `fixed` or what was found out, the
/// longest silence that did no harm, the shortest that did or 0.
impl fmt::Display for PathLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.node, u8::from(self.direct), self.keepalive)?;
        match self.lifetime {
            None => write!(f, " fixed 0 0"),
            Some(Lifetime { stood, fell, learning }) => {
                write!(f, " {} {stood} {}", if learning { "learning" } else { "learnt" }, fell.unwrap_or(0))
            }
        }
    }
}

impl Line for PathLine {
    const WHAT: &'static str = "path";
    const KIND: u32 = crate::control::request::kind::PATHS;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (node, direct, keepalive) = (words.text()?, words.number::<u8>()? != 0, words.number()?);
        let word = words.text()?;
        let (stood, fell) = (words.number()?, words.number()?);
        let lifetime = Lifetime { stood, fell: Some(fell).filter(|&fell| fell != 0), learning: word == "learning" };
        let lifetime = Some(lifetime).filter(|_| word != "fixed");
        Some(Self { node, direct, keepalive, lifetime })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        for text in ["bob 1 10 fixed 0 0", "bob 0 56 learnt 113 160", "bob 1 10 learning 0 0", "bob 1 120 learnt 240 0"]
        {
            assert_eq!(PathLine::parse(text).unwrap().to_string(), text);
        }
        let line = PathLine::parse("bob 1 7 learning 14 20 and more").unwrap();
        assert_eq!(line.lifetime, Some(Lifetime { stood: 14, fell: Some(20), learning: true }));
        for text in ["bob", "bob 1 7 learnt 14", "bob yes 7 learnt 14 20"] {
            assert!(PathLine::parse(text).is_err(), "{text}");
        }
    }
}
