//! Real daemons in the cells of the laboratory; prints one line with tabs for each. `cargo xtask lab` reads them.
//!
//! `tinmesh-lab [--only TEXT] LABEL=DIR...`: the directories hold programs `tincd` and `tinc`. Needs root.
//!
//! ```text
//! real    label  title  first(ms)  direct(ms)  silence(ms)
//! broken  label  title  reason
//! ```
#![expect(clippy::print_stdout, reason = "a program for the command line")]

mod cells;
mod flow;
mod mesh;
#[path = "../../../../tinmesh/tests/e2e/lab/namespace.rs"]
#[expect(dead_code, reason = "the laboratory needs only a part of it")]
mod namespace;

use std::path::PathBuf;
use std::time::Duration;

use cells::{CELLS, Outcome};

fn main() {
    let mut words = std::env::args().skip(1);
    let mut only = None;
    let mut programs: Vec<(String, PathBuf)> = Vec::new();
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some((label, dir)) => programs.push((label.to_owned(), dir.into())),
            None if word == "--only" => only = words.next(),
            None => println!("broken\t-\t-\tunknown word {word}"),
        }
    }
    namespace::sweep();
    for cell in CELLS.iter().filter(|cell| only.as_ref().is_none_or(|only| cell.title.contains(only.as_str()))) {
        for (label, dir) in &programs {
            match cell.run(dir) {
                Ok(outcome) => print(label, cell.title, &outcome),
                Err(error) => println!("broken\t{label}\t{}\t{error}", cell.title),
            }
        }
    }
}

fn print(label: &str, title: &str, outcome: &Outcome) {
    let millis = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |time| time.as_millis().to_string());
    let Outcome { first, direct, silence } = *outcome;
    println!("real\t{label}\t{title}\t{}\t{}\t{}", millis(first), millis(direct), millis(silence));
}
