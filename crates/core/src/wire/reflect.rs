//! Reflection: a node tells another from which address its datagrams come (docs/protocol.md, "Reflection").
//!
//! ```text
//!  record 16: mark 4 · flags 1 · seconds 2 · port 2 · zeroes 16
//!  record 17: mark 4 · from another port 1 · address 16 · port 2 · other port 2
//! ```
//!
//! Both are equally long, so that nobody is sent more than it asked for.

use std::net::SocketAddr;

use crate::wire::endpoint;

/// Length of both, in bytes.
pub const LEN: usize = 25;
/// Flag: an answer from another port is wanted too.
const TWICE: u8 = 1;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What the answer is told apart by.
    pub mark: [u8; 4],
    /// Whether a second answer from another port is wanted, which shows what filter there is.
    pub twice: bool,
    /// After how many seconds another answer is wanted; 0: none.
    pub later: u16,
    /// To which port of the asker's address another answer is to go, so that questions from there get in; 0: none.
    pub opens: u16,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// That of the request.
    pub mark: [u8; 4],
    /// Whether it comes from another port than the request went to.
    pub from_elsewhere: bool,
    /// Where the request came from.
    pub seen: SocketAddr,
    /// The other port at which reflection is answered; 0: none.
    pub other: u16,
}

impl Ask {
    /// Reads the data of a record of type 16; bits that mean nothing yet are ignored.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (mark, rest) = data.split_first_chunk::<4>().filter(|_| data.len() == LEN)?;
        let (flags, rest) = rest.split_first()?;
        let (later, rest) = rest.split_first_chunk()?;
        let opens = rest.first_chunk()?;
        let (later, opens) = (u16::from_be_bytes(*later), u16::from_be_bytes(*opens));
        Some(Self { mark: *mark, twice: flags & TWICE != 0, later, opens })
    }

    /// A plain question.
    pub const fn new(mark: [u8; 4]) -> Self {
        Self { mark, twice: false, later: 0, opens: 0 }
    }

    /// Its bytes.
    pub fn encode(self) -> [u8; LEN] {
        let mut data = [0; LEN];
        data[..4].copy_from_slice(&self.mark);
        data[4] = if self.twice { TWICE } else { 0 };
        data[5..7].copy_from_slice(&self.later.to_be_bytes());
        data[7..9].copy_from_slice(&self.opens.to_be_bytes());
        data
    }
}

impl Answer {
    /// Reads the data of a record of type 17.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (mark, rest) = data.split_first_chunk::<4>().filter(|_| data.len() == LEN)?;
        let (from, rest) = rest.split_first()?;
        let (seen, other) = rest.split_first_chunk()?;
        let (seen, other) = (endpoint::decode(seen), u16::from_be_bytes(other.try_into().ok()?));
        Some(Self { mark: *mark, from_elsewhere: *from != 0, seen, other })
    }

    /// Its bytes.
    pub fn encode(self) -> [u8; LEN] {
        let mut data = [0; LEN];
        data[..4].copy_from_slice(&self.mark);
        data[4] = u8::from(self.from_elsewhere);
        data[5..23].copy_from_slice(&endpoint::encode(self.seen));
        data[23..].copy_from_slice(&self.other.to_be_bytes());
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_layout_of_the_table() {
        let ask = Ask { mark: [1, 2, 3, 4], twice: true, later: 260, opens: 655 };
        let mut golden = [0; LEN];
        golden[..9].copy_from_slice(&[1, 2, 3, 4, 1, 1, 4, 2, 143]);
        assert_eq!(ask.encode(), golden);
        assert_eq!(Ask::parse(&golden), Some(ask));
        let answer =
            Answer { mark: [1, 2, 3, 4], from_elsewhere: false, seen: ([192, 0, 2, 1], 655).into(), other: 258 };
        let golden = [1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 2, 143, 1, 2];
        assert_eq!(answer.encode(), golden);
        assert_eq!(Answer::parse(&golden), Some(answer));
        let answer = Answer { seen: "[2001:db8::1]:7".parse().expect("an address"), from_elsewhere: true, ..answer };
        assert_eq!(Answer::parse(&answer.encode()), Some(answer));
        for wrong in [&golden[..24], &[0; 26]] {
            assert_eq!((Ask::parse(wrong), Answer::parse(wrong)), (None, None));
        }
    }
}
