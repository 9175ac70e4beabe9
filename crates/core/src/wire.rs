//! Bytes ⇄ types.

pub mod options;
