//! Hexadecimal digits: written in upper case, read in both.

/// The digits of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of an even number of digits.
pub(crate) fn decode(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(value(high)? << 4 | value(low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_in_both_cases_and_written_in_upper_case() {
        assert_eq!(decode("00aFFf"), Some(vec![0, 0xaf, 0xff]));
        assert_eq!(encode(&[0, 0xaf, 0xff]), "00AFFF");
        assert_eq!(decode(""), Some(Vec::new()));
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in ["0", "0g", "+1", " 0", "0x", "ä"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
