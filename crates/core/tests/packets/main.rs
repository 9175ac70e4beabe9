//! The packet path, through its doors: `Fib::outbound`, `Fib::inbound` and those that the node uses.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod batches;
mod both_ends;
mod garbage;
mod gate;
mod golden;
mod inbound;
mod keys;
mod lab;
mod outbound;
mod refusals;
mod spec_routing;
mod unsummed;
