//! Bytes ⇄ types.

pub mod address;
pub mod address_cache;
pub mod datagram;
pub mod endpoint;
pub mod health;
pub mod hello;
pub mod keepalive;
pub mod mapped;
pub mod meet;
pub(crate) mod number;
pub mod options;
pub mod pcp;
pub mod probe;
pub mod punch;
pub mod reflect;
pub mod relay;
pub mod request;
