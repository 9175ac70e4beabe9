//! tinc's base64: bits are taken from the least significant end, and there is no padding.
//!
//! Source: spec sptps 2.

const NORMAL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The normal form, used in requests and files.
pub fn encode(bytes: &[u8]) -> String {
    encode_with(NORMAL, bytes)
}

/// The form used in invitation URLs and in names of invitation files.
pub fn encode_url(bytes: &[u8]) -> String {
    encode_with(URL_SAFE, bytes)
}

fn encode_with(alphabet: &[u8; 64], bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 4).div_ceil(3));
    for group in bytes.chunks(3) {
        let number = group.iter().rev().fold(0_usize, |number, &byte| number << 8 | usize::from(byte));
        for digit in 0..=group.len() {
            text.push(char::from(alphabet[number >> (6 * digit) & 63]));
        }
    }
    text
}

/// Decodes either form, also mixed; `None` for a foreign character or if nothing comes out.
///
/// The text ends at its first NUL byte. A single last digit, and surplus bits of the last group, are ignored.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.split(|&byte| byte == 0).next()?;
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut number = 0_u32;
        for (place, &digit) in group.iter().enumerate() {
            number |= u32::from(value(digit)?) << (6 * place);
        }
        bytes.extend_from_slice(&number.to_le_bytes()[..group.len() * 3 / 4]);
    }
    (!bytes.is_empty()).then_some(bytes)
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes.clone()));
            prop_assert_eq!(decode(encode_url(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn any_text_decodes_or_is_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = decode(&text).unwrap_or_default();

            prop_assert!(bytes.len() <= text.len() * 3 / 4);
        }
    }

    #[test]
    fn a_text_ends_at_its_first_nul() {
        assert_eq!(decode(b"NFmb\0!!"), Some(b"Man".to_vec()));
    }
}
