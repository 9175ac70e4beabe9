//! The laboratory in virtual time; prints one line with tabs for each cell and scene. `cargo xtask lab` reads them.
//!
//! `lab [--quick] [--seeds N] [--from SEED] [--only TEXT]`: fewer NATs, one day; so many seeds of each; the first seed of
//! days; cells, scenes and days whose title (of cells also the class) has this text.
//!
//! ```text
//! cell   A  B  class  first(ms)  direct(ms)  probes  peak  mappings  entries
//! scene  group  title  unit  at-most|at-least  limit  value
//! broken title
//! ```
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::time::Duration;

use tinmesh_sim::lab::cells::{self, Cell, label};
use tinmesh_sim::lab::day;
use tinmesh_sim::lab::scenes::{Mark, SCENES, Scene};

/// Classes whose mark is a matter of luck in each run, and how many times as many runs of them there are: as many as tell
/// what was reached from what is asked.
const LUCK: [(&str, u64); 2] = [("two ports: block 512", 20), ("one port: random", 420)];

/// As many times at most in a quick run.
const QUICK: u64 = 20;

/// Days, of one hour each.
const DAYS: u64 = 10;
const APART: &str =
    "ten days of moves, sleep, restarts and misbehaving providers: pairs that could be joined and are not";
const JOINED: &str = "the same days: from the last of three events until all pairs that can be are joined";

struct Options {
    quick: bool,
    seeds: u64,
    from: u64,
    only: Option<String>,
}

fn main() {
    let options = options();
    let wanted = |title: &str| options.only.as_ref().is_none_or(|only| title.contains(only.as_str()));
    for scene in SCENES.iter().filter(|scene| wanted(&format!("{} {}", scene.group, scene.title))) {
        play(scene, options.seeds);
    }
    if wanted(&format!("G3 {APART}")) {
        let days = if options.quick { 1 } else { DAYS };
        (options.from..options.from + days).for_each(live);
    }
    for (number, cell) in (0..).zip(cells::cells(options.quick)) {
        let title = format!("{}\t{}", label(&cell.a), label(&cell.b));
        if wanted(&format!("{title}\t{}", cell.chance().class())) {
            let class = cell.chance().class();
            let often = LUCK.iter().find(|(luck, _)| *luck == class).map_or(1, |&(_, often)| often);
            let often = if options.quick { often.min(QUICK) } else { often };
            (0..often * options.seeds).for_each(|seed| run(&cell, &title, 1_000 * number + seed));
        }
    }
}

fn options() -> Options {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str| after(name).and_then(|text| text.parse().ok()).unwrap_or(1);
    Options {
        quick: words.iter().any(|word| word == "--quick"),
        seeds: number("--seeds"),
        from: number("--from"),
        only: after("--only").cloned(),
    }
}

/// A panic is a broken promise of the simulator: the others go on.
fn guarded<T>(title: &str, work: impl FnOnce() -> T + std::panic::UnwindSafe) -> Option<T> {
    let done = std::panic::catch_unwind(work);
    if done.is_err() {
        println!("broken\t{title}");
    }
    done.ok()
}

fn play(scene: &Scene, seeds: u64) {
    for seed in 0..seeds {
        let play = scene.play;
        let Some(value) = guarded(scene.title, || play(seed)) else { continue };
        let (kind, limit) = match scene.mark {
            Mark::AtMost(limit) => ("at-most", limit),
            Mark::AtLeast(limit) => ("at-least", limit),
        };
        println!("scene\t{}\t{}\t{}\t{kind}\t{limit}\t{value:.3}", scene.group, scene.title, scene.unit);
    }
}

/// Lives through a day.
fn live(seed: u64) {
    let Some(day::Outcome { pairs, slowest, apart }) = guarded(APART, || day::play(seed)) else { return };
    println!("scene\tG3\t{APART}\tpairs\tat-most\t0\t{}", apart.len());
    println!("scene\tG3\t{JOINED}\ts\tat-most\t{}\t{:.3}", day::GRACE.as_secs(), slowest.as_secs_f64());
    eprintln!("day {seed}: {pairs} pairs looked at, all joined after at most {slowest:?}; apart: {apart:?}");
}

fn run(cell: &Cell, title: &str, seed: u64) {
    let Some(outcome) = guarded(title, || cell.run(seed)) else { return };
    let millis = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |time| time.as_millis().to_string());
    println!(
        "cell\t{title}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
        cell.chance().class(),
        millis(outcome.first),
        millis(outcome.direct),
        outcome.probes,
        outcome.peak,
        outcome.mappings,
        outcome.entries
    );
}
