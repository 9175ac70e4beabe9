//! Streams of the daemon, log lines and packets, cut into records (spec: cli C.4).

use super::client::{ClientError, reply_to};

/// Longest record, in bytes.
const MAX_RECORD: usize = 64 * 1024;
/// Longest line in front of a record, in bytes.
const MAX_HEAD: usize = 64;

/// Bytes of a stream that make no whole record yet.
#[derive(Debug)]
pub struct Records {
    kind: u32,
    bytes: Vec<u8>,
}

impl Records {
    /// The stream that answers a request of type `kind`.
    pub const fn of(kind: u32) -> Self {
        Self { kind, bytes: Vec::new() }
    }

    /// Takes bytes, cut anywhere, and hands over each record that is whole now, until `each` says `false`; then so does
    /// this.
    ///
    /// # Errors
    /// If something else comes.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8]) -> bool) -> Result<bool, ClientError> {
        self.bytes.extend_from_slice(bytes);
        let mut used = 0;
        while let Some((head, len)) = self.head(used)? {
            let Some(record) = self.bytes.get(used + head..used + head + len) else { break };
            used += head + len;
            if !each(record) {
                return Ok(false);
            }
        }
        self.bytes.drain(..used);
        Ok(true)
    }

    /// Length of the line at `from`, if it is whole, and of the record behind it.
    fn head(&self, from: usize) -> Result<Option<(usize, usize)>, ClientError> {
        let rest = self.bytes.get(from..).unwrap_or_default();
        let Some(end) = rest.iter().take(MAX_HEAD).position(|byte| *byte == b'\n') else {
            return if rest.len() < MAX_HEAD { Ok(None) } else { Err(ClientError::Unexpected) };
        };
        let line = std::str::from_utf8(rest.get(..end).unwrap_or_default()).unwrap_or_default();
        let len = reply_to(line, self.kind).and_then(|rest| rest.trim().parse::<usize>().ok());
        let len = len.filter(|len| *len <= MAX_RECORD).ok_or(ClientError::Unexpected)?;
        Ok(Some((end + 1, len)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOG: u32 = crate::control::request::kind::LOG;

    fn records(chunks: &[&[u8]]) -> Result<Vec<String>, ClientError> {
        let mut stream = Records::of(LOG);
        let mut found = Vec::new();
        for chunk in chunks {
            stream.feed(chunk, |record| {
                found.push(String::from_utf8_lossy(record).into_owned());
                true
            })?;
        }
        Ok(found)
    }

    #[test]
    fn records_follow_each_other_without_a_separator() {
        assert_eq!(records(&[b"18 15 3\none18 15 0\n18 15 4\ntw\no"]).unwrap(), ["one", "", "tw\no"]);
    }

    #[test]
    fn something_else_in_a_stream_is_an_error() {
        for bad in ["18 14 3\nabc", "18 15 -1\n", "18 15 99999999\n", "18 -1\n", &"1".repeat(100)] {
            assert!(matches!(records(&[bad.as_bytes()]), Err(ClientError::Unexpected)), "{bad}");
        }
    }

    #[test]
    fn a_reader_that_has_enough_gets_no_more() {
        let mut seen = 0;
        let mut stream = Records::of(LOG);
        let goes_on = stream.feed(b"18 15 1\na18 15 1\nb", |_| {
            seen += 1;
            false
        });
        assert!(!goes_on.unwrap());
        assert_eq!(seen, 1);
    }

    proptest! {
        #[test]
        fn a_stream_may_be_cut_anywhere(texts: Vec<String>, size in 1_usize..20) {
            let bytes: Vec<u8> =
                texts.iter().flat_map(|text| crate::control::encode::log_line(text)).collect();
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();

            prop_assert_eq!(records(&chunks).unwrap(), texts);
        }
    }
}
