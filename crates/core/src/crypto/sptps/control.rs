//! `Control`: seals messages between two tinmesh nodes that travel over meta connections, beside the records of their session.
//!
//! Their keys come from the session's first handshake and stay as long as the session: a record's number would be far
//! outside the window when a slow message comes. Source: docs/protocol.md, "Sealed messages".
//!
//! ```text
//!  number 4 · message sealed with AES-256-GCM · tag 16
//! ```

use tinmesh_cipher::TAG;

use crate::crypto::record_key::{RecordKey, Suite};

/// Length of a number.
const NUMBER: usize = 4;

/// Both directions.
#[derive(Debug)]
pub struct Control {
    sending: RecordKey,
    receiving: RecordKey,
    /// The number of the next message; `None` when there are no more.
    next: Option<u32>,
    opened: Opened,
}

/// Which of the last 64 numbers were opened.
#[derive(Debug, Default)]
struct Opened {
    /// The number after the highest one.
    next: u64,
    /// A bit for each number below `next`, the highest number's first.
    bits: u64,
}

impl Opened {
    /// Whether a number is new; older ones than the window count as opened.
    fn is_new(&self, number: u32) -> bool {
        let age = self.next.checked_sub(u64::from(number) + 1);
        age.is_none_or(|age| age < u64::from(u64::BITS) && self.bits & 1 << age == 0)
    }

    fn note(&mut self, number: u32) {
        let number = u64::from(number);
        if number >= self.next {
            let ahead = u32::try_from(number + 1 - self.next).unwrap_or(u32::MAX);
            self.bits = self.bits.checked_shl(ahead).unwrap_or(0);
            self.next = number + 1;
        }
        self.bits |= 1 << (self.next - 1 - number);
    }
}

impl Control {
    pub(super) fn new(sending: &[u8; 32], receiving: &[u8; 32]) -> Self {
        let [sending, receiving] = [sending, receiving].map(|key| RecordKey::new(Suite::Aes256Gcm, key));
        Self { sending, receiving, next: Some(0), opened: Opened::default() }
    }

    /// Seals a message; `None` after four thousand million.
    pub fn seal(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let number = self.next?;
        self.next = number.checked_add(1);
        let mut sealed = Vec::with_capacity(NUMBER + message.len() + TAG);
        sealed.extend_from_slice(&number.to_be_bytes());
        sealed.extend_from_slice(message);
        sealed.extend_from_slice(&[0; TAG]);
        self.sending.seal(number, &mut sealed[NUMBER..]);
        Some(sealed)
    }

    /// Opens a message; `None` if it is not genuine or was opened before.
    pub fn open(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (number, sealed) = sealed.split_first_chunk::<NUMBER>()?;
        let number = u32::from_be_bytes(*number);
        let mut message = sealed.to_vec();
        if !self.opened.is_new(number) || !self.receiving.open(number, &mut message) {
            return None;
        }
        self.opened.note(number);
        message.truncate(message.len() - TAG);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> (Control, Control) {
        (Control::new(&[1; 32], &[2; 32]), Control::new(&[2; 32], &[1; 32]))
    }

    #[test]
    fn a_message_opens_once_at_the_other_side_only() {
        let (mut one, mut other) = both();
        let sealed = one.seal(b"message").unwrap();

        assert_eq!(one.open(&sealed), None, "it comes from the other side");
        assert_eq!(other.open(&sealed), Some(b"message".to_vec()));
        assert_eq!(other.open(&sealed), None, "again");
        assert_eq!(other.open(&sealed[..3]), None);
        assert_eq!(other.open(&[0; 20]), None);
    }

    #[test]
    fn messages_may_overtake_each_other() {
        let (mut one, mut other) = both();
        let mut sealed: Vec<Vec<u8>> = (0..40u8).map(|at| one.seal(&[at]).unwrap()).collect();
        sealed.reverse();

        let opened = sealed.iter().filter_map(|sealed| other.open(sealed)).count();

        assert_eq!(opened, 40);
        let late: Vec<Vec<u8>> = (0..66u8).map(|at| one.seal(&[at]).unwrap()).collect();
        assert!(other.open(&late[65]).is_some() && other.open(&late[2]).is_some());
        assert_eq!(other.open(&late[1]), None, "older than the window");
    }

    #[test]
    fn a_changed_message_is_refused_and_the_genuine_one_still_opens() {
        let (mut one, mut other) = both();
        let sealed = one.seal(b"message").unwrap();
        let mut changed = sealed.clone();
        changed[5] ^= 1;

        assert_eq!(other.open(&changed), None);
        assert_eq!(other.open(&sealed), Some(b"message".to_vec()));
    }
}
