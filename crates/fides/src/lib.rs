//! Small signed statements about who may do what, and decisions without an authority.
//!
#![doc = include_str!("../README.md")]
//! ## Where to find what
//!
//! ```text
//!  store        what is let in, kept and passed on: quotas, budgets, waiting room
//!   ├─ judge    decisions, by votes
//!   │   └─ trust  whose word counts
//!   ├─ budget   the work that others may cause
//!   ├─ ledger   which statements act: slots, contradictions, revocations
//!   └─ statement  one signed line  ── key, word, time
//! ```

#![forbid(unsafe_code)]

mod ballot;
mod base64;
mod budget;
mod judge;
mod key;
mod ledger;
mod policy;
mod reconcile;
mod statement;
mod store;
#[cfg(test)]
mod testing;
mod time;
mod trust;
mod word;

pub use budget::{Neighbour, Rate};
pub use judge::explain::{Explanation, Missing, Reason, Tally, Weighed};
pub use judge::weigh::{Ignored, Weight};
pub use judge::{Allowance, Count, Grant, Judge, Question, Votes};
pub use key::{Key, KeyError, SecretKey};
pub use ledger::{Evidence, Ledger, Merge};
pub use policy::{Answer, Cover, Policy, Quorum, Rule, Topic};
pub use reconcile::{FrameError, MAX_FRAME, ReconcileError, Session, Step};
pub use statement::{
    About, BACKDATED, Claim, DEFAULT_VALIDITY, FormError, Limits, MAX_DEPTH, MAX_LINE, MAX_VALIDITY, Sign,
    SignatureError, Statement, StatementId, Subject, Unchecked,
};
pub use store::{Accepted, Item, Pattern, PatternError, Quotas, Refused, Report, Store};
pub use time::{AHEAD, DAY, Span, Time, VouchedClock};
pub use trust::{Introduction, PARDON, Regard, Rules};
pub use word::{Word, WordError};
