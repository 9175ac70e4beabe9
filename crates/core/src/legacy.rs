//! The protocol of tinc 1.0: everything that only nodes without Ed25519 keys need.
//!
//! ```text
//!  link            a meta connection: authentication, its two cipher streams
//!  session         packet keys, and packets under them
//!   ├─ cipher digest    by the names and numbers of OpenSSL
//!   └─ rsa              keys, their files, the raw operations
//! ```
//!
//! These are the parts, each shown against tinc's own bytes; what a node decides with them is in `node/legacy`, and how
//! packets travel in `dataplane/legacy`. Without an RSA key nothing of it is used. Source: spec legacy-1.0.

pub mod cipher;
pub mod digest;
pub(crate) mod hex;
pub mod link;
pub mod rsa;
pub mod session;
