//! A walk through the parts of the specification of `tinc` that are about files: A, and the file commands of B (spec: cli).
//!
//! One module for each section, one test for each statement that can be shown. Everything runs the program.
#![expect(clippy::unwrap_used, reason = "what helps tests may fail like them")]

mod a1_options;
mod a3_shell;
mod b13_fsck;
mod b14_sign;
mod b1_init;
mod b2_settings;
mod b3_keys;
mod b4_dump_invitations;
mod b8_edit;
mod b9_exchange;
mod machine;
mod terminal;
