//! Messages of the feature `health`: what was sent, what came, and doubts (docs/protocol.md, "Sealed messages").
//!
//! ```text
//!  110 · number 4 · datagrams sent 8
//!  111 · number 4 · datagrams that came 8 · bytes that came 8
//!  112
//! ```

use std::ops::RangeInclusive;

/// The kinds of messages that belong to `health`.
pub const KINDS: RangeInclusive<u8> = REPORT..=DOUBT;
const REPORT: u8 = 110;
const ANSWER: u8 = 111;
const DOUBT: u8 = 112;

/// The answer to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number of the report.
    pub number: u32,
    /// Datagrams that came straight from the reporter.
    pub came: u64,
    /// Bytes of the reporter's packets, by whatever way they came.
    pub bytes: u64,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// How many datagrams with packets the sender has sent straight to the receiver.
    Report {
        /// One more with each report.
        number: u32,
        /// Since the sender started.
        sent: u64,
    },
    /// What came of them.
    Answer(Answer),
    /// Something is wrong with the path: datagrams of the other direction may be lost too.
    Doubt,
}

impl Message {
    /// Reads what follows the kind; `None` if it is no message.
    pub fn parse(kind: u8, payload: &[u8]) -> Option<Self> {
        match kind {
            REPORT => {
                let (number, sent) = payload.split_first_chunk::<4>()?;
                Some(Self::Report { number: u32::from_be_bytes(*number), sent: word(sent)? })
            }
            ANSWER => {
                let (number, rest) = payload.split_first_chunk::<4>()?;
                let (came, bytes) = rest.split_at_checked(8)?;
                let number = u32::from_be_bytes(*number);
                Some(Self::Answer(Answer { number, came: word(came)?, bytes: word(bytes)? }))
            }
            DOUBT => payload.is_empty().then_some(Self::Doubt),
            _ => None,
        }
    }

    /// Its bytes, kind included.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Report { number, sent } => [&[REPORT][..], &number.to_be_bytes(), &sent.to_be_bytes()].concat(),
            Self::Answer(Answer { number, came, bytes }) => {
                [&[ANSWER][..], &number.to_be_bytes(), &came.to_be_bytes(), &bytes.to_be_bytes()].concat()
            }
            Self::Doubt => vec![DOUBT],
        }
    }
}

fn word(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_layout_of_the_table() {
        let answer = Answer { number: 7, came: 0x0102, bytes: 0x0304_0506 };
        let golden: [(Message, &[u8]); 3] = [
            (Message::Report { number: 7, sent: 258 }, &[110, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 2]),
            (Message::Answer(answer), &[111, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 3, 4, 5, 6]),
            (Message::Doubt, &[112]),
        ];
        for (message, bytes) in golden {
            assert_eq!(message.encode(), bytes);
            assert!(KINDS.contains(&bytes[0]));
            assert_eq!(Message::parse(bytes[0], &bytes[1..]), Some(message));
            assert_eq!(Message::parse(bytes[0], &[&bytes[1..], &[0]].concat()), None, "one byte too many");
            assert!(bytes.len() == 1 || Message::parse(bytes[0], &bytes[1..bytes.len() - 1]).is_none());
        }
        assert_eq!(Message::parse(109, &[]), None);
    }
}
