//! What `cargo xtask bench` is asked for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::rows::{ROWS, Row};

/// Rounds over all rows without `--rounds`.
const ROUNDS: usize = 3;

/// What was asked for on the command line.
#[derive(Debug)]
pub(super) struct Options {
    /// Short measurements and one round: whether it works, not how fast it is.
    pub(super) is_quick: bool,
    /// The debug build, for a quick test: it is there already.
    pub(super) is_debug: bool,
    /// Cables that neither segment nor coalesce by themselves.
    pub(super) is_plain_card: bool,
    pub(super) rounds: usize,
    pub(super) json: Option<PathBuf>,
    /// The results become those of the README and of docs/performance.md.
    pub(super) is_published: bool,
    only: Vec<String>,
}

impl Options {
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self {
            is_quick: false,
            is_debug: false,
            is_plain_card: false,
            rounds: 0,
            json: None,
            is_published: false,
            only: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match *word {
                "--quick" => options.is_quick = true,
                "--debug" => options.is_debug = true,
                "--plain-card" => options.is_plain_card = true,
                "--publish" => options.is_published = true,
                "--rounds" => options.rounds = value()?.parse().context("--rounds needs a number")?,
                "--json" => options.json = Some(PathBuf::from(*value()?)),
                "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
                other => bail!(
                    "no such option: {other}. There are --quick, --only NAME,…, --rounds N, --json FILE, --publish, \
                     --plain-card, --debug"
                ),
            }
        }
        let known = |name: &String| ROWS.iter().any(|row| row.name == name);
        if let Some(name) = options.only.iter().find(|name| !known(name)) {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            bail!("no such row: {name}. There are {}", names.join(", "));
        }
        if options.rounds == 0 {
            options.rounds = if options.is_quick { 1 } else { ROUNDS };
        }
        Ok(options)
    }

    /// The rows to measure, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(|row| self.only.is_empty() || self.only.iter().any(|name| name == row.name))
    }

    /// Cargo's name for the build that is measured.
    pub(super) fn profile(&self) -> &'static str {
        if self.is_debug { "debug" } else { "release" }
    }

    /// Length of a stream, in seconds.
    pub(super) fn stream_seconds(&self) -> u32 {
        if self.is_quick { 1 } else { 4 }
    }

    /// How many pings, a hundredth of a second apart.
    pub(super) fn pings(&self) -> u32 {
        if self.is_quick { 60 } else { 300 }
    }

    /// How long one rate of datagrams is tried.
    pub(super) fn flood(&self) -> Duration {
        Duration::from_millis(if self.is_quick { 200 } else { 700 })
    }

    /// How often the search for the highest rate halves what is left.
    pub(super) fn halvings(&self) -> u32 {
        if self.is_quick { 1 } else { 4 }
    }

    /// How often a rate is tried that has lost too many.
    pub(super) fn tries(&self) -> u32 {
        if self.is_quick { 1 } else { 2 }
    }

    /// How long idle daemons are watched.
    pub(super) fn idle(&self) -> Duration {
        Duration::from_secs(if self.is_quick { 1 } else { 4 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_name_and_unknown_names_are_refused() {
        let some = Options::parse(&["--quick", "--only", "tinmesh,nebula", "--json", "x"]).unwrap();
        assert_eq!(some.rows().map(|row| row.name).collect::<Vec<_>>(), ["tinmesh", "nebula"]);
        assert_eq!(some.rounds, 1);
        assert!(Options::parse(&["--only", "wiregoat"]).unwrap_err().to_string().contains("wireguard-go"));
        assert_eq!(Options::parse(&[]).unwrap().rows().count(), ROWS.len());
    }
}
