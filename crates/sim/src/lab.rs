//! The laboratory in virtual time: what stands in the way of two nodes, and how far they get, in figures.
//!
//! A cell is a pair of NATs, a scene is something that happens while packets flow, a day is full of them. The program `lab`
//! runs them all; `cargo xtask lab` makes a report of what it prints.

pub mod cells;
pub mod day;
pub mod scenes;
