//! Real daemons in the cells of the laboratory; prints one line with tabs for each. `cargo xtask lab` reads them.
//!
//! `tinmesh-lab [--only TEXT] LABEL=DIR...`: the directories hold programs `tincd` and `tinc`. Needs root.
//!
//! ```text
//! real    label  title  first(ms)  direct(ms)  straight by TCP(ms)  silence(ms)  answered(%)  fragments
//! broken  label  title  reason
//! ```
#![expect(clippy::print_stdout, reason = "a program for the command line")]

mod cells;
mod flow;
mod mesh;
#[path = "../../../../tinmesh/tests/e2e/lab/namespace.rs"]
#[expect(dead_code, reason = "the laboratory needs only a part of it")]
mod namespace;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cells::{CELLS, Cell, Outcome};

/// Cells at once: they mostly wait.
const AT_ONCE: usize = 3;

/// One kind of daemon in one cell.
struct Errand<'a> {
    cell: &'a Cell,
    label: &'a str,
    programs: &'a Path,
}

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
    let wanted = CELLS.iter().filter(|cell| only.as_ref().is_none_or(|only| cell.title.contains(only.as_str())));
    let errands = wanted.flat_map(|cell| {
        programs.iter().map(move |(label, programs)| Errand { cell, label: label.as_str(), programs })
    });
    run_all(errands.collect()).iter().for_each(|line| println!("{line}"));
}

/// Runs all, some at once; their lines in order.
fn run_all(errands: Vec<Errand<'_>>) -> Vec<String> {
    let lines = Mutex::new(vec![String::new(); errands.len()]);
    let queue: Mutex<VecDeque<_>> = Mutex::new(errands.into_iter().enumerate().collect());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((place, errand)) = next else { return };
                    let line = errand.run();
                    lines.lock().unwrap_or_else(PoisonError::into_inner)[place] = line;
                }
            });
        }
    });
    lines.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Errand<'_> {
    fn run(&self) -> String {
        let Self { cell, label, programs } = self;
        let millis = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |time| time.as_millis().to_string());
        match catch_unwind(AssertUnwindSafe(|| cell.run(programs))) {
            Ok(Ok(Outcome { first, direct, by_tcp, silence, answered, fragments })) => {
                let [first, direct, by_tcp, silence] = [first, direct, by_tcp, silence].map(millis);
                let answered = answered.map_or_else(|| "-".to_owned(), |share| format!("{share:.0}"));
                let title = cell.title;
                format!("real\t{label}\t{title}\t{first}\t{direct}\t{by_tcp}\t{silence}\t{answered}\t{fragments}")
            }
            Ok(Err(error)) => format!("broken\t{label}\t{}\t{error}", cell.title),
            Err(_) => format!("broken\t{label}\t{}\ta namespace could not be made", cell.title),
        }
    }
}
