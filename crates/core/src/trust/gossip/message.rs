//! Messages of gossip, as bytes.

use std::ops::RangeInclusive;

use fides::{Item, Time};
use sha2::{Digest, Sha256};

/// The kinds of messages that belong to gossip.
pub const KINDS: RangeInclusive<u8> = ITEMS..=KNOWN;
const ITEMS: u8 = 1;
const START: u8 = 2;
const FRAME: u8 = 3;
const KNOWN: u8 = 4;

/// Longest message of items, in bytes: sealed and in base64 it is a request that tinc passes on.
const MAX_ITEMS: usize = 1_300;
/// Items in one message at most.
const MAX_COUNT: usize = 64;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Texts of items.
    Items(Vec<&'a str>),
    /// A reconciliation begins.
    Start {
        /// Drawn by who starts it.
        salt: [u8; 16],
        /// What time the sender's clock shows, if it has one.
        time: Option<Time>,
        /// The first frame.
        frame: &'a [u8],
    },
    /// A reconciliation goes on.
    Frame {
        /// Whether the sender of this message started it.
        is_senders: bool,
        /// The frame.
        frame: &'a [u8],
    },
    /// Names of items that came.
    Known(Vec<u64>),
}

impl<'a> Message<'a> {
    /// Reads what follows the kind; `None` if it is no message.
    pub fn parse(kind: u8, payload: &'a [u8]) -> Option<Self> {
        match kind {
            ITEMS => parse_items(payload).map(Self::Items),
            START => {
                let (salt, rest) = payload.split_first_chunk::<16>()?;
                let (time, frame) = rest.split_first_chunk::<8>()?;
                let time = Some(u64::from_be_bytes(*time)).filter(|&time| time > 0).map(Time);
                Some(Self::Start { salt: *salt, time, frame })
            }
            FRAME => {
                let (whose, frame) = payload.split_first()?;
                matches!(whose, 0 | 1).then_some(Self::Frame { is_senders: *whose == 0, frame })
            }
            KNOWN => {
                let (names, rest) = payload.as_chunks::<8>();
                let fits = rest.is_empty() && names.len() <= MAX_COUNT;
                fits.then(|| Self::Known(names.iter().map(|name| u64::from_be_bytes(*name)).collect()))
            }
            _ => None,
        }
    }

    /// Its bytes, kind included.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Items(texts) => {
                let mut bytes = vec![ITEMS];
                texts.iter().for_each(|text| push_text(&mut bytes, text));
                bytes
            }
            Self::Start { salt, time, frame } => {
                let time = time.map_or(0, |time| time.0).to_be_bytes();
                [&[START], salt.as_slice(), &time, frame].concat()
            }
            Self::Frame { is_senders, frame } => [&[FRAME, u8::from(!is_senders)], *frame].concat(),
            Self::Known(names) => {
                let mut bytes = vec![KNOWN];
                names.iter().for_each(|name| bytes.extend(name.to_be_bytes()));
                bytes
            }
        }
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend(len.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes().get(..usize::from(len)).unwrap_or_default());
}

fn parse_items(mut payload: &[u8]) -> Option<Vec<&str>> {
    let mut texts = Vec::new();
    while !payload.is_empty() {
        let (len, rest) = payload.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        texts.push(std::str::from_utf8(text).ok()?);
        payload = rest;
    }
    (texts.len() <= MAX_COUNT).then_some(texts)
}

/// Messages with all these texts, as few as possible.
pub(super) fn pack(texts: &[String]) -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> = Vec::new();
    let mut count = 0;
    for text in texts {
        match messages.last_mut() {
            Some(last) if last.len() + 2 + text.len() <= MAX_ITEMS && count < MAX_COUNT => {
                push_text(last, text);
                count += 1;
            }
            Some(_) | None => {
                messages.push(Message::Items(vec![text]).encode());
                count = 1;
            }
        }
    }
    messages
}

/// The name of an item: a hash of its text, so that it can be confirmed even if it was refused.
pub(super) fn name(item: &Item) -> u64 {
    name_of_text(&item.to_string())
}

/// The name of the item with this text.
pub(super) fn name_of_text(text: &str) -> u64 {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).fold(0, |name, byte| name << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_as_they_were_written() {
        let messages = [
            Message::Items(vec!["one", "two\nlines"]),
            Message::Start { salt: [7; 16], time: Some(Time(1_800_000_000)), frame: &[1, 2, 3] },
            Message::Start { salt: [7; 16], time: None, frame: &[] },
            Message::Frame { is_senders: true, frame: &[5] },
            Message::Frame { is_senders: false, frame: &[5] },
            Message::Known(vec![1, u64::MAX]),
        ];
        for message in messages {
            let bytes = message.encode();
            let (kind, payload) = bytes.split_first().unwrap();
            assert!(KINDS.contains(kind));
            assert_eq!(Message::parse(*kind, payload), Some(message));
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        assert_eq!(Message::parse(ITEMS, &[0]), None);
        assert_eq!(Message::parse(ITEMS, &[0, 9, b'x']), None);
        assert_eq!(Message::parse(ITEMS, &[0, 1, 0xff]), None, "not UTF-8");
        assert_eq!(Message::parse(ITEMS, &[0; 2 * (MAX_COUNT + 1)]), None);
        assert_eq!(Message::parse(START, &[0; 23]), None);
        assert_eq!(Message::parse(FRAME, &[2, 0]), None);
        assert_eq!(Message::parse(KNOWN, &[0; 7]), None);
        assert_eq!(Message::parse(9, &[]), None);
    }

    #[test]
    fn many_texts_are_packed_into_messages_that_fit() {
        let texts: Vec<String> = (0..100).map(|at| format!("{at:0300}")).collect();
        let messages = pack(&texts);
        assert!(messages.iter().all(|message| message.len() <= MAX_ITEMS));
        let count = |message: &Vec<u8>| parse_items(&message[1..]).unwrap().len();
        assert_eq!((messages.len(), messages.iter().map(count).sum::<usize>()), (25, 100));
    }
}
