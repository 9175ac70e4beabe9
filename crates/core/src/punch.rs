//! Getting through NATs whose outer ports must be guessed: what is known of them, and what to try.
//!
//! ```text
//! ports that reflectors saw ─► Law ─► both sides tell each other ─► Plan: who opens, who probes, which ports
//! ```
//!
//! Nothing here depends on labels of NATs: a law is what was observed, and the cheap attempts come before it.

pub mod blocks;
pub mod budget;
pub mod law;
pub mod mappings;
pub mod memory;
pub mod plan;
pub mod retries;
