//! Reading the vector files.

use serde_json::Value;

/// A vector file, by its path below `vectors/`.
macro_rules! vectors {
    ($path:literal) => {
        serde_json::from_str::<serde_json::Value>(include_str!(concat!("vectors/", $path))).unwrap()
    };
}
pub(crate) use vectors;

/// The elements of an array.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

/// A text.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// A number.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// Whether it says true.
pub(crate) fn flag(value: &Value) -> bool {
    value.as_bool().expect("true or false")
}

/// The bytes of a hex text.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    let digits = text(value).as_bytes();
    assert_eq!(digits.len() % 2, 0, "an even number of digits");
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The bytes of a hex text of `N` bytes.
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().expect("as many bytes as asked for")
}
