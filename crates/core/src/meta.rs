//! Meta connections: from the first byte to the last, and what is said on them.
//!
//! ```text
//!  Connecting ──► Id ──► Securing ──► Active ──► (closed)
//!       │         ▲│
//!       └► Proxying┘└──► Inviting ──► (closed)
//! ```
//!
//! Source: spec meta-protocol 2 to 7.

pub mod backlog;
pub mod connection;
pub mod error;
pub mod proxy;
pub mod queue;
pub mod seen;
pub mod withdrawn;
