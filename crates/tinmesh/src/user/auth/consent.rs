//! Asking before what has consequences.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use anyhow::{Result, bail};

use crate::cli::tinmesh::auth::Consent;
use crate::user::place::Place;

/// Longest answer, in bytes.
const MAX_ANSWER: u64 = 100;

/// Asks whether to go on, unless that was said already.
///
/// # Errors
/// If the answer is no, or nobody is there to be asked.
pub(super) fn require(place: &Place, consent: Consent, question: &str) -> Result<()> {
    if consent.yes {
        return Ok(());
    }
    eprintln!("{question}");
    if place.options.batch || !io::stdin().is_terminal() {
        bail!("Nobody is there to be asked: say --yes if that is what you want");
    }
    eprint!("Go on? [y/N] ");
    let mut answer = Vec::new();
    io::stdin().lock().take(MAX_ANSWER).read_until(b'\n', &mut answer)?;
    if answer.first().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'y')) {
        return Ok(());
    }
    bail!("Nothing was changed")
}
