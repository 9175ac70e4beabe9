//! Bytes and transcripts of tinc 1.1, reproduced.
//!
//! `vectors/README.md` describes the files.
#![expect(clippy::unwrap_used, reason = "a test ends where its vectors are not as described")]

mod base64;
mod errors;
mod invitations;
mod keys;
mod legacy;
mod primitives;
mod recorded;
mod replay;
mod session;
mod transcripts;
mod vectors;
