//! The protocol of tinc 1.0: everything that only nodes without Ed25519 keys need.
//!
//! ```text
//!  link            a meta connection: authentication, its two cipher streams
//!  session         packet keys, and packets under them
//!   ├─ cipher digest    by the names and numbers of OpenSSL
//!   └─ rsa              keys, their files, the raw operations
//! ```
//!
//! What a node decides about it is in `node/legacy.rs`; without an RSA key in [`crate::node::config::Config::legacy`] nothing
//! of it is used. Source: spec legacy-1.0.

pub mod cipher;
pub mod digest;
pub(crate) mod hex;
pub mod link;
pub mod rsa;
pub mod session;
