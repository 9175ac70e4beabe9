//! A walk through the specification of invitations, section by section (spec: invitations).
//!
//! What the inviting command writes (2), what passes over the wire (3), and what the joining command makes of it (4, 5),
//! with the program on one side and this test on the other. Both programs together are in `e2e/invitations.rs`.
#![expect(clippy::unwrap_used, reason = "what helps tests may fail like them")]

#[path = "spec_invitations/inviter.rs"]
mod inviter;
#[path = "spec_invitations/joining.rs"]
mod joining;
#[path = "spec_cli_files/machine.rs"]
#[expect(dead_code, reason = "another walk uses the rest of it")]
mod machine;
#[path = "spec_invitations/making.rs"]
mod making;
#[path = "spec_cli_files/terminal.rs"]
mod terminal;
