//! Keys, ciphers, SPTPS and the seeded generator.
//!
//! ```text
//!  sptps   handshake, stream and datagram records
//!    ├─ agreement  prf  replay            what records and keys are made with, beside the cipher (crate tinmesh-cipher)
//!    ├─ keys  key_file  signed_file       identities
//!    └─ base64  rng
//! ```
//!
//! Source: spec sptps.

pub mod agreement;
pub mod base64;
pub mod key_file;
pub mod keys;
pub mod prf;
pub mod record_key;
pub mod replay;
pub mod rng;
pub mod signed_file;
pub mod sptps;
