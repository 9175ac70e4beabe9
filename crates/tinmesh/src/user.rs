//! What people type: `tinmesh up`, `join`, `invite`, `down`, `status`, and `tinmesh` alone.
//!
//! Each command says what it did and what to type next; an error says what to do about it.

pub mod exchange;
pub mod status;
mod units;

use std::io::IsTerminal as _;

/// Whether this user wants colours at all; ask also whether the output is a terminal.
pub fn colour_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

/// Whether to colour what goes to standard output.
fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && colour_wanted()
}
