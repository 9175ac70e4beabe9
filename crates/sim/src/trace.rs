//! `Trace`: a running hash of everything that happened, to compare two runs.

use crate::dice::mix;

/// A hash over all events so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace(u64);

impl Trace {
    /// Adds a number.
    pub(crate) const fn number(&mut self, value: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ value);
    }

    /// Adds bytes, eight at a time.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.number(u64::from_le_bytes(chunk.try_into().expect("a chunk of eight bytes")));
        }
        let mut rest = [0; 8];
        rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        self.number(u64::from_le_bytes(rest) ^ bytes.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_content_count() {
        let hash = |texts: &[&str]| {
            let mut trace = Trace::default();
            texts.iter().for_each(|text| trace.bytes(text.as_bytes()));
            trace
        };
        assert_eq!(hash(&["one", "two"]), hash(&["one", "two"]));
        assert_ne!(hash(&["one", "two"]), hash(&["two", "one"]));
        assert_ne!(hash(&["a longer text"]), hash(&["a longer texu"]));
        assert_ne!(hash(&["a"]), hash(&["a\0"]));
    }
}
