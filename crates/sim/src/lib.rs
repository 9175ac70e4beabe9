//! A world of tinmesh nodes in virtual time, on a simulated Internet. For tests and study; never shipped.
//!
//! ```text
//!  World, Host            what a test says and asks           world.rs host.rs
//!    └─ Engine            clock, queue, one machine at a time engine.rs engine/ queue.rs
//!        ├─ Machine       node, snapshot, disk, sockets       machine.rs (or an Actor: actor.rs)
//!        ├─ Internet      addresses, links, NATs, providers   internet.rs nat.rs isp.rs
//!        ├─ Streams       TCP                                 stream.rs
//!        ├─ Flow          packets through the mesh            traffic.rs
//!        └─ Frame         the same in switch mode             frames.rs
//!  sayings               statements of nodes               sayings.rs
//!  oracle                 what should be true                 oracle.rs
//!  chances                what could be                       chances.rs
//!  lab                    marks, measured                     lab.rs lab/
//! ```
//!
//! A machine does for its node what the daemon does: `Input`s in, `Output`s out, packets through its `Fib`. All is
//! decided by one seed. After every run it is checked that no packet came twice, went in a circle or was readable on
//! the way, and, when nothing came or went lately, that all nodes know what they should (`oracle.rs`).
#![forbid(unsafe_code)]

mod actor;
mod chances;
mod dice;
mod engine;
mod frames;
mod host;
mod internet;
mod isp;
pub mod lab;
mod machine;
mod nat;
mod oracle;
mod queue;
mod sayings;
mod stream;
mod trace;
mod traffic;
mod world;

pub use actor::Script;
pub use chances::Chance;
pub use dice::Dice;
pub use engine::Settings;
pub use frames::{EVERYONE, Mac};
pub use host::Host;
pub use internet::{Cut, Fate, HostId, Internet, Link, NatId, Parcel};
pub use isp::{Isp, Narrow, Probes, Protocol, TcpRule, UdpRule};
pub use machine::Work;
pub use nat::{Dependence, Mappings, Nat, Ports, Refresh};
pub use trace::Trace;
pub use traffic::FlowReport;
pub use world::{Path, Ping, World, millis, minutes, secs};
