//! The marks that pairs of NATs must reach, and what was measured.

use super::figures::{Cell, Figures};

/// A line of the table.
pub(super) struct Line {
    pub(super) mark: String,
    pub(super) asked: String,
    pub(super) measured: String,
    /// `None`: nothing is asked.
    pub(super) reached: Option<bool>,
}

/// What is asked of one class of pairs.
struct Class {
    name: &'static str,
    /// Per cent of cells that must be direct; 0: nothing is asked.
    share: f64,
    within: f64,
    probes: u64,
}

const MAPPINGS: u64 = 256;
const ENTRIES: u64 = 1_024;
const PEAK: u64 = 100;
const FIRST: f64 = 1.5;

const CLASSES: [Class; 12] = [
    Class { name: "certain", share: 100.0, within: 2.0, probes: u64::MAX },
    Class { name: "crossed ports", share: 0.0, within: 30.0, probes: u64::MAX },
    Class { name: "one port: delta", share: 99.0, within: 5.0, probes: u64::MAX },
    Class { name: "one port: block 512", share: 98.0, within: 3.0, probes: 128 },
    Class { name: "one port: block 1024", share: 98.0, within: 3.0, probes: 128 },
    Class { name: "one port: block 2048", share: 0.0, within: 30.0, probes: u64::MAX },
    Class { name: "one port: random", share: 98.0, within: 20.0, probes: 1_024 },
    Class { name: "two ports: delta", share: 90.0, within: 30.0, probes: u64::MAX },
    Class { name: "two ports: block 512", share: 60.0, within: 30.0, probes: u64::MAX },
    Class { name: "two ports: block 1024", share: 0.0, within: 30.0, probes: u64::MAX },
    Class { name: "two ports: mixed", share: 0.0, within: 30.0, probes: u64::MAX },
    Class { name: "two ports: random", share: 0.0, within: 30.0, probes: u64::MAX },
];

/// All lines for which there are figures.
pub(super) fn lines(figures: &Figures) -> Vec<Line> {
    let mut lines: Vec<Line> = CLASSES.iter().filter_map(|class| line(class, &figures.cells)).collect();
    lines.extend(everywhere(&figures.cells));
    lines.extend(figures.scenes.iter().map(|scene| Line {
        mark: format!("{}: {}", scene.group, scene.title),
        asked: format!("{} {} {}", if scene.at_most { "≤" } else { "≥" }, scene.limit, scene.unit),
        measured: format!("{:.2} {}", scene.worst(), scene.unit),
        reached: Some(scene.is_reached()),
    }));
    let fragments = figures.fragments();
    if let Some(&(_, ours)) = fragments.iter().find(|(label, _)| *label == super::OURS) {
        let others = fragments.iter().filter(|(label, _)| *label != super::OURS);
        let others: String = others.map(|(label, count)| format!(", {label} {count}")).collect();
        lines.push(Line {
            mark: "G8: fragments sent, all cells of real daemons".to_owned(),
            asked: "0".to_owned(),
            measured: format!("{ours}{others}"),
            reached: Some(ours == 0),
        });
    }
    lines
}

fn line(class: &Class, cells: &[Cell]) -> Option<Line> {
    let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.class == class.name).collect();
    if cells.is_empty() {
        return None;
    }
    let good = |cell: &&&Cell| {
        cell.direct.is_some_and(|time| time <= class.within) && cell.probes <= class.probes && cell.mappings <= MAPPINGS
    };
    let share = 100.0 * cells.iter().filter(good).count() as f64 / cells.len() as f64;
    let slowest = cells.iter().filter_map(|cell| cell.direct).reduce(f64::max);
    let slowest = slowest.map_or_else(|| "none direct".to_owned(), |time| format!("slowest {time:.2} s"));
    let probes = cells.iter().map(|cell| cell.probes).max().unwrap_or(0);
    let few = if class.probes == u64::MAX { String::new() } else { format!(", ≤ {} probes", class.probes) };
    let asked = format!("≥ {} % direct within {} s{few}", class.share, class.within);
    Some(Line {
        mark: format!("G2: {} ({} runs)", class.name, cells.len()),
        asked: if class.share > 0.0 { asked } else { "—".to_owned() },
        measured: format!("{share:.1} %, {slowest}, ≤ {probes} probes"),
        reached: (class.share > 0.0).then_some(share >= class.share),
    })
}

/// What is asked of every pair.
fn everywhere(cells: &[Cell]) -> Vec<Line> {
    let Some(peak) = cells.iter().map(|cell| cell.peak).max() else { return Vec::new() };
    let mappings = cells.iter().map(|cell| cell.mappings).max().unwrap_or(0);
    let entries = cells.iter().map(|cell| cell.entries).max().unwrap_or(0);
    let first = cells.iter().filter_map(|cell| cell.first).fold(0.0, f64::max);
    let silent = cells.iter().filter(|cell| cell.first.is_none()).count();
    let line = |mark: &str, asked: String, measured: String, reached| Line {
        mark: mark.to_owned(),
        asked,
        measured,
        reached: Some(reached),
    };
    vec![
        line("G3: first answer, all pairs", format!("≤ {FIRST} s"), format!("{first:.2} s"), first <= FIRST),
        line("G3: pairs without an answer", "0".to_owned(), silent.to_string(), silent == 0),
        line("G4: outer ports of a router", format!("≤ {MAPPINGS}"), mappings.to_string(), mappings <= MAPPINGS),
        line("G4: entries of a router", format!("≤ {ENTRIES}"), entries.to_string(), entries <= ENTRIES),
        line("G4: probes of a host in a second", format!("≤ {PEAK}"), peak.to_string(), peak <= PEAK),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::figures::SAMPLE;
    use super::*;

    #[test]
    fn a_mark_is_reached_by_the_worst_of_all_and_no_less() {
        let lines = lines(&Figures::parse(SAMPLE));
        let reached = |start: &str| lines.iter().find(|line| line.mark.starts_with(start)).map(|line| line.reached);
        assert_eq!(reached("G2: certain"), Some(Some(true)));
        assert_eq!(reached("G2: one port: delta"), Some(Some(false)));
        assert_eq!(reached("G4: outer ports"), Some(Some(true)));
        assert_eq!(reached("G6: UDP cut"), Some(Some(false)));
        assert_eq!(reached("G2: two ports"), None);
        let fragments = lines.iter().find(|line| line.mark.starts_with("G8: fragments")).expect("there are real cells");
        assert_eq!((fragments.measured.as_str(), fragments.reached), ("0, tinc-1.1 7", Some(true)));
        let cut = SAMPLE.replace("-\t-\t0", "-\t-\t1");
        assert_eq!(super::lines(&Figures::parse(&cut)).last().and_then(|line| line.reached), Some(false));
    }
}
