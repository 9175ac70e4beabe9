//! End to end: the real program in network namespaces, alone and mixed with tinc 1.1.
//!
//! `cargo xtask test` runs all of it; alone: `cargo test -p tinmesh --test e2e NAME`, as root.

mod blackbox;
mod compression;
mod harness;
mod hostile;
mod invitations;
mod lab;
mod lifecycle;
mod mixed;
mod nats;
mod proxies;
mod relaying;
mod restarts;
mod roaming;
mod robust;
mod sockets;
mod spec_configuration;
mod spec_meta;
mod spec_process;
mod transfers;
mod twenty;
mod underlays;
mod upgrade;
mod upnp;
mod user_story;
mod variables;
