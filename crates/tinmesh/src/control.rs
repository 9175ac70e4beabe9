//! The control protocol: lines between the daemon and whoever commands it on this machine, both ends.
//!
//! ```text
//! client                              daemon
//!   0 ^COOKIE 0          ───────────►
//!                        ◄───────────  0 NAME 17.7
//!                        ◄───────────  4 0 PID
//!   18 3                 ───────────►            list the nodes
//!                        ◄───────────  18 3 alice …
//!                        ◄───────────  18 3       end of the list
//! ```
//!
//! [`server`] and [`encode`] are the daemon's half and hold no socket; [`client`] and [`dump`] are the other half and
//! understand tinc's daemon too. Source: spec cli C, configuration 1.1.

pub mod client;
pub mod dump;
pub mod encode;
#[cfg(test)]
pub(crate) mod fake_daemon;
pub mod pid_file;
pub mod request;
pub mod server;
pub mod stream;
