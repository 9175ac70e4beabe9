//! Numbers in requests, as the C library of a 64-bit system reads them (spec: meta-protocol 4.4).
//!
//! Numbers that are too large are not an error there, and what a peer accepts we accept too: a
//! request refused by us alone would cost a connection to somebody who only passed it on.

/// A decimal number with an optional sign; numbers beyond 64 bits become the nearest one.
pub(crate) fn decimal(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(limit))
}

/// A decimal number, cut to 32 bits.
pub(crate) fn int(text: &str) -> Option<i32> {
    Some(decimal(text)? as i32)
}

/// A hexadecimal number with an optional sign and `0x`, cut to 32 bits.
pub(crate) fn hexadecimal(text: &str) -> Option<u32> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")).unwrap_or(unsigned);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).unwrap_or(u64::MAX);
    Some(if text.starts_with('-') { value.wrapping_neg() } else { value } as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_in_c() {
        assert_eq!(int("08"), Some(8));
        assert_eq!(int("+8"), Some(8));
        assert_eq!(int("-1"), Some(-1));
        assert_eq!(int("99999999999"), Some(1_215_752_191));
        assert_eq!(int("99999999999999999999"), Some(-1));
        for text in ["", "-", "8x", "0x8", " 8", "٣"] {
            assert_eq!(int(text), None, "{text}");
        }
        assert_eq!(hexadecimal("700000c"), Some(0x0700_000c));
        assert_eq!(hexadecimal("0XfF"), Some(0xff));
        assert_eq!(hexadecimal("-1"), Some(u32::MAX));
        for text in ["", "0x", "g", "+-1"] {
            assert_eq!(hexadecimal(text), None, "{text}");
        }
    }
}
