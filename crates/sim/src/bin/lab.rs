//! The laboratory in virtual time; prints one line with tabs for each cell and scene. `cargo xtask lab` reads them.
//!
//! All processors work on them; the lines come at the end, in an order that is always the same.
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

use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
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

/// One run of a scene, a day or a cell, and its number.
enum Job {
    Scene(&'static Scene, u64),
    Day(u64),
    Cell(Cell, String, u64),
}

fn main() {
    let jobs = jobs(&options());
    let lines: Vec<OnceLock<String>> = jobs.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((job, line)) = jobs.iter().zip(&lines).nth(next.fetch_add(1, Relaxed)) {
            line.get_or_init(|| match job {
                Job::Scene(scene, seed) => play(scene, *seed),
                Job::Day(seed) => live(*seed),
                Job::Cell(cell, title, seed) => run(cell, title, *seed),
            });
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
    for line in lines.iter().filter_map(OnceLock::get) {
        println!("{line}");
    }
}

/// All that is wanted, in the order of the lines.
fn jobs(options: &Options) -> Vec<Job> {
    let wanted = |title: &str| options.only.as_ref().is_none_or(|only| title.contains(only.as_str()));
    let scenes = SCENES.iter().filter(|scene| wanted(&format!("{} {}", scene.group, scene.title)));
    let mut jobs: Vec<Job> =
        scenes.flat_map(|scene| (0..options.seeds).map(move |seed| Job::Scene(scene, seed))).collect();
    if wanted(&format!("G3 {APART}")) {
        let days = if options.quick { 1 } else { DAYS };
        jobs.extend((options.from..options.from + days).map(Job::Day));
    }
    for (number, cell) in (0..).zip(cells::cells(options.quick)) {
        let title = format!("{}\t{}", label(&cell.a), label(&cell.b));
        let class = cell.chance().class();
        if wanted(&format!("{title}\t{class}")) {
            let often = LUCK.iter().find(|(luck, _)| *luck == class).map_or(1, |&(_, often)| often);
            let often = if options.quick { often.min(QUICK) } else { often };
            let runs = 0..often * options.seeds;
            jobs.extend(runs.map(|seed| Job::Cell(cell, title.clone(), 1_000 * number + seed)));
        }
    }
    jobs
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
fn guarded<T>(title: &str, work: impl FnOnce() -> T + std::panic::UnwindSafe) -> Result<T, String> {
    std::panic::catch_unwind(work).map_err(|_| format!("broken\t{title}"))
}

fn play(scene: &Scene, seed: u64) -> String {
    let play = scene.play;
    let value = match guarded(scene.title, || play(seed)) {
        Ok(value) => value,
        Err(broken) => return broken,
    };
    let (kind, limit) = match scene.mark {
        Mark::AtMost(limit) => ("at-most", limit),
        Mark::AtLeast(limit) => ("at-least", limit),
    };
    format!("scene\t{}\t{}\t{}\t{kind}\t{limit}\t{value:.3}", scene.group, scene.title, scene.unit)
}

/// Lives through a day.
fn live(seed: u64) -> String {
    let day::Outcome { pairs, slowest, apart } = match guarded(APART, || day::play(seed)) {
        Ok(outcome) => outcome,
        Err(broken) => return broken,
    };
    eprintln!("day {seed}: {pairs} pairs looked at, all joined after at most {slowest:?}; apart: {apart:?}");
    let (limit, took) = (day::GRACE.as_secs(), slowest.as_secs_f64());
    let apart = format!("scene\tG3\t{APART}\tpairs\tat-most\t0\t{}", apart.len());
    format!("{apart}\nscene\tG3\t{JOINED}\ts\tat-most\t{limit}\t{took:.3}")
}

fn run(cell: &Cell, title: &str, seed: u64) -> String {
    let outcome = match guarded(title, || cell.run(seed)) {
        Ok(outcome) => outcome,
        Err(broken) => return broken,
    };
    let millis = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |time| time.as_millis().to_string());
    format!(
        "cell\t{title}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
        cell.chance().class(),
        millis(outcome.first),
        millis(outcome.direct),
        outcome.probes,
        outcome.peak,
        outcome.mappings,
        outcome.entries
    )
}
