//! End to end: the real program in network namespaces, alone and mixed with tinc 1.1.
//!
//! `cargo xtask test` runs all of it; alone: `cargo test -p tinmesh --test e2e NAME`, as root.

mod auth;
mod blackbox;
mod compression;
mod control_protocol;
mod control_tools;
mod devices;
mod differences;
mod doctor;
mod emulated;
mod extensions;
mod forms;
mod fragments;
mod gate;
mod harness;
mod hostile;
mod igd;
mod inherited;
mod invitations;
#[path = "../spec_invitations/inviter.rs"]
mod inviter;
mod key_files;
mod lab;
mod legacy;
mod lifecycle;
mod meetings;
mod mixed;
mod natpmp;
mod nats;
mod netnames;
mod offloads;
mod paths;
mod proxies;
mod relaying;
mod relays;
mod reloads;
mod restarts;
mod returning;
mod roaming;
mod robust;
mod segments;
mod sockets;
mod spec_configuration;
mod spec_meta;
mod spec_process;
mod spec_sandbox;
mod spec_syslog;
mod special_devices;
mod statements;
mod streams;
mod switched;
#[path = "../spec_cli_files/terminal.rs"]
mod terminal;
mod transfers;
mod trust;
mod twenty;
mod underlays;
mod upgrade;
mod upnp;
mod user_story;
mod variables;
mod workers;
