//! The scoreboard as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::figures::{Cell, Figures, Real};
use super::marks;

const HEAD: &str = "\
# The laboratory's scoreboard

Written by `cargo xtask lab` (root); change nothing by hand. `--simulated` runs only what needs no root, `--only TEXT` some
cells, `--quick` few, `--json` prints figures. Those of real daemons depend on the machine; simulated ones do not.

One emulator of NATs, firewalls and providers (`crates/sim/src/nat*`, `isp.rs`, `internet/`) is used twice: in virtual time
(`crates/sim/src/lab`) and, by `crates/lab`, for the packets of real daemons in namespaces. Days are lived through by ten nodes
in an hour (`crates/sim/src/lab/day.rs`).

![Direct paths by behaviour of both NATs](lab.svg)
";

const MARKS: &str = "
## Marks

Simulated, but for fragments. Pairs of NATs: two nodes, three members with public addresses. *Certain* needs no guess;
*crossed ports* needs none either, but answers come from another port than the one written to; the others need one or two
ports guessed, out of a sequence (delta), a block or the whole range. Scenes show the worst seed. Of a router two things are
counted: *outer ports*, of which there are few, and *entries*, one for each endpoint where mappings depend on it. A router
that keeps the port of the inside (Linux) makes entries, but gives one port for all of them. Who stands behind it and probes
makes as many as it probes: of 64,512 ports 254 opened and 254 probed meet in 63 % of all attempts, 254 and 1,007 in 98 %.
Of two blocks of 512 that must be guessed at once 71 % meet: nearly all if one socket has one port for an address at both
ends, or at one end while the filter of the other forgives; 92 % if it is at one end and both are strict; 47 % if at neither
end, but one filter forgives; else 20 %.

| mark | asked | measured | |
| --- | --- | --- | --- |
";

const PAIRS: &str = "
## Pairs of NATs

Simulated, over every allocation of ports. Direct and relayed in per cent of the runs; the rest are runs without an answer. Times
in seconds; probes, ports, entries: of the worst run.

| one | other | runs | direct | relayed | unreachable | slowest direct | probes | ports | entries |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

const REAL: &str = "
## Real daemons

Seconds: until the first answer; until the path is direct, seen once it has been so for about 0.6 s (—: not within 20 s; *TCP*: by
a connection between the two, while UDP is blocked); the longest silence in the 40 s after an event, and what was answered in the
second half of them. One run of each, three at once.

";

/// Writes the page.
pub(super) fn write(figures: &Figures) -> String {
    let mut page = HEAD.to_owned();
    let lines = marks::lines(figures);
    if !lines.is_empty() {
        page.push_str(MARKS);
    }
    for line in lines {
        let verdict = match line.reached {
            Some(true) => "reached",
            Some(false) => "**missed**",
            None => "",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {} | {} | {} | {verdict} |", line.mark, line.asked, line.measured);
    }
    if !figures.titles.is_empty() {
        real(&mut page, figures);
    }
    if !figures.cells.is_empty() {
        pairs(&mut page, &figures.cells);
    }
    if !figures.broken.is_empty() {
        page.push_str("\n## What did not run\n\n");
        for line in &figures.broken {
            let _ = writeln!(page, "- {line}");
        }
    }
    page
}

fn real(page: &mut String, figures: &Figures) {
    page.push_str(REAL);
    let labels = figures.labels();
    let columns = ["first", "direct", "silence"];
    let heads = labels.iter().flat_map(|label| columns.map(|column| format!(" {label} {column} |")));
    let _ = writeln!(page, "| cell |{}", heads.collect::<String>());
    let _ = writeln!(page, "| --- |{}", " ---: |".repeat(3 * labels.len()));
    for title in &figures.titles {
        let cells = labels.iter().map(|label| match figures.real.get(&((*label).to_owned(), title.clone())) {
            Some(values) => values_of(values),
            None => " failed | | |".to_owned(),
        });
        let _ = writeln!(page, "| {title} |{}", cells.collect::<String>());
    }
}

fn values_of(real: &Real) -> String {
    let shown = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), |value| format!("{value:.2}"));
    let after = real.silence.zip(real.answered);
    let after = after.map_or_else(String::new, |(silence, answered)| format!("{silence:.2}, {answered:.0} %"));
    let direct = real.by_tcp.map_or_else(|| shown(real.direct), |time| format!("{time:.2} TCP"));
    format!(" {} | {direct} | {after} |", shown(real.first))
}

fn pairs(page: &mut String, cells: &[Cell]) {
    let mut pairs: BTreeMap<[&str; 2], Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        let mut ends = [cell.behaviour(0), cell.behaviour(1)];
        ends.sort_unstable();
        pairs.entry(ends).or_default().push(cell);
    }
    page.push_str(PAIRS);
    for ([a, b], cells) in pairs {
        let share = |holds: fn(&&&Cell) -> bool| 100 * cells.iter().filter(holds).count() / cells.len();
        let direct = share(|cell| cell.direct.is_some());
        let relayed = share(|cell| cell.direct.is_none() && cell.first.is_some());
        let lost = share(|cell| cell.direct.is_none() && cell.first.is_none());
        let slowest = cells.iter().filter_map(|cell| cell.direct).reduce(f64::max);
        let slowest = slowest.map_or_else(|| "—".to_owned(), |time| format!("{time:.2}"));
        let probes = cells.iter().map(|cell| cell.probes).max().unwrap_or(0);
        let mappings = cells.iter().map(|cell| cell.mappings).max().unwrap_or(0);
        let entries = cells.iter().map(|cell| cell.entries).max().unwrap_or(0);
        let runs = cells.len();
        let _ = writeln!(
            page,
            "| {a} | {b} | {runs} | {direct} | {relayed} | {lost} | {slowest} | {probes} | {mappings} | {entries} |"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::SAMPLE;
    use super::*;

    #[test]
    fn the_page_has_a_line_for_each_mark_and_each_real_cell() {
        let page = write(&Figures::parse(SAMPLE));
        assert!(page.contains("| G6: UDP cut | ≤ 5 s | 29.50 s | **missed** |"), "{page}");
        assert!(page.contains("| full cones | 0.33 | 1.00 |  | 0.38 | 1.10 |  |"), "{page}");
        assert!(page.contains("| UDP blocked | 0.33 | 6.80 TCP |  | 7.10 | — |  |"), "{page}");
        assert!(page.contains("| APDM/APDF | EIM/EIF | 1 | 100 | 0 | 0 | 0.42 | 4 | 2 |"), "{page}");
        assert!(page.contains("- broken · something"), "{page}");
    }
}
