//! How much this node carries for others: variable `Relay`.

use std::sync::Arc;

use crate::dataplane::fib::Fib;
use crate::dataplane::gate::Pace;
use crate::dataplane::scratch::Scratch;
use crate::dataplane::verdict::DropReason;

/// Whether a node passes on packets of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relaying {
    /// All of them.
    #[default]
    Yes,
    /// None, also where there is no other way.
    No,
    /// So many kilobits, of 1,000 bits, per second.
    UpTo(u64),
}

impl Relaying {
    /// What counts the packets, if there is a limit.
    pub fn pace(self) -> Option<Arc<Pace>> {
        match self {
            Self::Yes | Self::No => None,
            Self::UpTo(kbit) => Some(Arc::new(Pace::new(kbit))),
        }
    }
}

impl Fib {
    /// Whether the operator lets `len` bytes of others pass.
    pub(super) fn wants_to_carry(&self, len: usize, scratch: &Scratch) -> Result<(), DropReason> {
        if self.policy.relaying == Relaying::No {
            return Err(DropReason::RelayDenied);
        }
        let has_room = self.relay_pace.as_deref().is_none_or(|pace| pace.take(scratch.now, len));
        if has_room { Ok(()) } else { Err(DropReason::OverRelayRate) }
    }
}
