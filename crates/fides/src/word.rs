//! Words: what statements are about, always taken literally.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The text is not that of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a word is not empty; in it everything but printable ASCII, and also % and =, is written as % and two \
     capital hexadecimal digits per byte of UTF-8"
)]
pub struct WordError;

/// A piece of text without meaning of its own. It is never a pattern.
///
/// Its text form has no spaces, so that words can stand in a line:
///
/// ```
/// use fides::Word;
///
/// let word = Word::new("50 % off").unwrap();
/// assert_eq!(word.to_string(), "50%20%25%20off");
/// assert_eq!("50%20%25%20off".parse(), Ok(word));
/// assert!("%41".parse::<Word>().is_err(), "one way to write it: A");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(Arc<str>);

impl Word {
    /// The word that means `content`; there is none for nothing.
    ///
    /// # Errors
    /// If `content` is empty.
    pub fn new(content: &str) -> Result<Self, WordError> {
        if content.is_empty() { Err(WordError) } else { Ok(Self(content.into())) }
    }

    /// What it means.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a byte stands for itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'%' && byte != b'='
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if is_plain(byte) { write!(f, "{}", char::from(byte))? } else { write!(f, "%{byte:02X}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Word {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let mut bytes = text.bytes();
        let mut content = Vec::with_capacity(text.len());
        while let Some(byte) = bytes.next() {
            content.push(match byte {
                b'%' => escaped(bytes.next(), bytes.next())?,
                plain if is_plain(plain) => plain,
                _ => return Err(WordError),
            });
        }
        Self::new(&String::from_utf8(content).map_err(|_| WordError)?)
    }
}

/// The byte of two digits, if it needs to be written so.
fn escaped(high: Option<u8>, low: Option<u8>) -> Result<u8, WordError> {
    let value = |digit: Option<u8>| match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(WordError),
    };
    let byte = value(high)? << 4 | value(low)?;
    if is_plain(byte) { Err(WordError) } else { Ok(byte) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_with_two_ways_to_write_them_are_refused() {
        for text in ["", "a b", "a=b", "%", "%2", "%2f", "%41", "%FF", "ä"] {
            assert_eq!(text.parse::<Word>(), Err(WordError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_content_survives(content in ".+") {
            let word = Word::new(&content).unwrap();
            prop_assert_eq!(word.to_string().parse(), Ok(word));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[!-~]{1,12}") {
            if let Ok(word) = text.parse::<Word>() {
                prop_assert_eq!(word.to_string(), text);
            }
        }
    }
}
