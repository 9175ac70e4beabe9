//! What was typed: the options and commands of `tinmesh`, and those of `tinc` and `tincd` by GNU's rules.
//!
//! Nothing is done here: each parser turns words into a value, or into a message that says what is wrong.
//! Source: spec cli A.1, configuration 6.

pub mod getopt;
pub mod tinc;
pub mod tincd;
pub mod tinmesh;
pub mod usage;
