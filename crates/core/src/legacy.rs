//! The protocol of tinc 1.0: everything that only nodes without Ed25519 keys need.
//!
//! ```text
//!  rsa     keys, their files, the raw operations
//! ```
//!
//! Source: spec legacy-1.0.

pub mod rsa;
