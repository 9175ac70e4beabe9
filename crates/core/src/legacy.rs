//! The protocol of tinc 1.0: everything that only nodes without Ed25519 keys need.
//!
//! ```text
//!  link            a meta connection: authentication, its two cipher streams
//!  session         packet keys, and packets under them
//!   ├─ cipher digest    by the names and numbers of OpenSSL
//!   └─ rsa              keys, their files, the raw operations
//! ```
//!
//! These are the parts, each shown against tinc's own bytes; no node speaks the protocol with them so far, and tinc 1.0 is
//! refused with a message. Only `rsa` is used: by the commands that make and check keys. Source: spec legacy-1.0.

pub mod cipher;
pub mod digest;
pub(crate) mod hex;
pub mod link;
pub mod rsa;
pub mod session;
