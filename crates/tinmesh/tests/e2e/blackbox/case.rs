//! What is tried: a piece of shell that calls `tinc` and `tincd`, and where its results may differ.

use super::world::Pairing;

/// What of a run is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The exit code.
    Code,
    /// The files afterwards, with their modes.
    Files,
}

/// All of them.
pub(super) const ASPECTS: [Aspect; 4] = [Aspect::Out, Aspect::Err, Aspect::Code, Aspect::Files];

/// What is there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fixture {
    /// An empty `/etc/tinc`.
    Bare,
    /// Network `vpn` of node `alice`, made by tinc, and network `peer` of node `bob`, whom `alice` dials.
    Alice,
    /// As `Alice`, but she has no RSA keys.
    Modern,
    /// As `Alice`, with both daemons running and connected; cases that have it share it, in order.
    Live,
}

/// Whose doing a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Our `tinc`, whatever daemon it speaks with.
    Tool,
    /// Our `tincd`, whatever tool speaks with it.
    Daemon,
}

/// An entry of `docs/differences.md` that explains why some aspects differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// The entry's id.
    pub(super) id: &'static str,
    cause: Cause,
    pub(super) aspects: &'static [Aspect],
}

impl Mark {
    /// Whether the entry is about this pairing of tool and daemon.
    pub(super) fn applies(&self, pairing: Pairing) -> bool {
        match self.cause {
            Cause::Tool => pairing.our_tool(),
            Cause::Daemon => pairing.our_daemon(),
        }
    }
}

/// One thing to try.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) script: &'static str,
    pub(super) input: &'static str,
    pub(super) fixture: Fixture,
    pub(super) marks: Vec<Mark>,
    pub(super) masks: &'static [&'static str],
    pub(super) new_keys: bool,
    pub(super) fresh: bool,
    pub(super) noise: &'static str,
}

/// A case that has the same results, with the usual configuration.
pub(super) fn same(script: &'static str) -> Case {
    Case {
        script,
        input: "",
        fixture: Fixture::Alice,
        marks: Vec::new(),
        masks: &[],
        new_keys: false,
        fresh: false,
        noise: "",
    }
}

/// Cases that have the same results.
pub(super) fn all_same<const N: usize>(scripts: [&'static str; N]) -> Vec<Case> {
    scripts.map(same).to_vec()
}

impl Case {
    /// Starts with something else.
    pub(super) fn on(self, fixture: Fixture) -> Self {
        Self { fixture, ..self }
    }

    /// Gets this on standard input.
    pub(super) fn input(self, input: &'static str) -> Self {
        Self { input, ..self }
    }

    /// Differs in these aspects for the reason of this entry, because of our tool.
    pub(super) fn differs(mut self, id: &'static str, aspects: &'static [Aspect]) -> Self {
        self.marks.push(Mark { id, cause: Cause::Tool, aspects });
        self
    }

    /// Differs in these aspects for the reason of this entry, because of our daemon.
    pub(super) fn daemon_differs(mut self, id: &'static str, aspects: &'static [Aspect]) -> Self {
        self.marks.push(Mark { id, cause: Cause::Daemon, aspects });
        self
    }

    /// The number after each of these texts is chance.
    pub(super) fn masked(self, masks: &'static [&'static str]) -> Self {
        Self { masks, ..self }
    }

    /// Does not share daemons with the case before.
    pub(super) fn fresh(self) -> Self {
        Self { fresh: true, ..self }
    }

    /// Lines with this text are left out.
    pub(super) fn without(self, noise: &'static str) -> Self {
        Self { noise, ..self }
    }

    /// Makes keys, which are chance.
    pub(super) fn new_keys(self) -> Self {
        Self { new_keys: true, ..self }
    }
}
