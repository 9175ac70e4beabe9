//! The marks that tinmesh is to reach, as ratios to other programs of the same run.

use super::figures::Figures;
use super::refused::Refused;
use super::report::Results;
use super::rows::{Program, Row};

/// The row whose ends are tinmesh and another program.
const MIXED: &str = "tinmesh-tinc-1.1";

/// What a figure is compared with.
#[derive(Clone, Copy, Debug)]
enum Against {
    /// The same figure of another row.
    Row(&'static str),
    /// The best of the other programs.
    Best,
    /// Nothing: the figure itself is limited.
    Itself,
}

/// Which side of the limit is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Good {
    AtLeast,
    AtMost,
}

/// A mark: the mean of some figures of a row, divided by what it is compared with, and its limit.
#[derive(Debug)]
struct Mark {
    what: &'static str,
    row: &'static str,
    keys: &'static [&'static str],
    against: Against,
    good: Good,
    limit: f64,
}

const fn mark(what: &'static str, keys: &'static [&'static str], against: Against, good: Good, limit: f64) -> Mark {
    Mark { what, row: "tinmesh", keys, against, good, limit }
}

const fn in_tinc_format(
    what: &'static str,
    keys: &'static [&'static str],
    against: &'static str,
    good: Good,
    limit: f64,
) -> Mark {
    Mark { what, row: "tinmesh-tinc-format", keys, against: Against::Row(against), good, limit }
}

const MARKS: &[Mark] = &[
    in_tinc_format("TCP, one stream, tinc's wire format", &["tcp1", "tcp1-back"], "wireguard-go", Good::AtLeast, 2.0),
    in_tinc_format("TCP, one stream, tinc's wire format", &["tcp1", "tcp1-back"], "tinc-1.1", Good::AtLeast, 7.0),
    mark("TCP, one stream", &["tcp1", "tcp1-back"], Against::Row("wireguard-go"), Good::AtLeast, 2.5),
    mark("TCP, four streams", &["tcp4", "tcp4-back"], Against::Row("wireguard-go"), Good::AtLeast, 2.3),
    in_tinc_format("CPU seconds per GB, tinc's wire format", &["cpu"], "wireguard-go", Good::AtMost, 0.45),
    mark("CPU seconds per GB", &["cpu"], Against::Row("wireguard-go"), Good::AtMost, 0.3),
    Mark {
        what: "TCP towards tinc 1.1",
        row: "tinmesh-tinc-1.1",
        keys: &["tcp1"],
        against: Against::Row("tinc-1.1"),
        good: Good::AtLeast,
        limit: 1.4,
    },
    Mark {
        what: "TCP from tinc 1.1",
        row: "tinmesh-tinc-1.1",
        keys: &["tcp1-back"],
        against: Against::Row("tinc-1.1"),
        good: Good::AtLeast,
        limit: 1.4,
    },
    mark("UDP, 64 bytes", &["udp64"], Against::Best, Good::AtLeast, 1.8),
    mark("round trip, idle, p50", &["idle-p50"], Against::Best, Good::AtMost, 1.0),
    mark("round trip under load, average, ms", &["load-average"], Against::Itself, Good::AtMost, 1.0),
    mark("round trip under load, p99, ms", &["load-p99"], Against::Itself, Good::AtMost, 4.0),
    mark("memory, MiB", &["memory"], Against::Itself, Good::AtMost, 24.0),
    mark("relayed A–R–B", &["relay"], Against::Row("tinc-1.1"), Good::AtLeast, 3.0),
];

/// The marks of which all figures are there, as a Markdown table.
pub(super) fn table(results: &Results) -> String {
    let lines: String = MARKS.iter().filter_map(|mark| mark.line(results)).collect();
    if lines.is_empty() {
        return lines;
    }
    format!(
        "| what | compared with | mark | measured | | a mere pipe |\n| --- | --- | --- | --- | --- | --- |\n{lines}"
    )
}

/// Figures of tinmesh with a part switched off or refused, divided by those of the best other program, which is refused the same if
/// that was measured, and of which nothing is switched off; a cell that is worse is bold.
pub(super) fn restricted(results: &Results) -> String {
    const SHOWN: [(&str, &[&str], Good); 6] = [
        ("TCP, one stream", &["tcp1", "tcp1-back"], Good::AtLeast),
        ("TCP, four streams", &["tcp4", "tcp4-back"], Good::AtLeast),
        ("CPU time", &["cpu"], Good::AtMost),
        ("UDP, 64 bytes", &["udp64"], Good::AtLeast),
        ("UDP, 1,300 bytes", &["udp1300"], Good::AtLeast),
        ("relayed", &["relay"], Good::AtLeast),
    ];
    let is_shown = |row: &Row, figures: &Figures| {
        row.variant && row.ends.contains(&Program::Tinmesh) && !figures.samples.is_empty()
    };
    let lines = results.rows.iter().filter(|(row, figures)| is_shown(row, figures));
    let lines: String = lines
        .map(|(row, figures)| {
            let cells = SHOWN.iter().map(|(_, keys, good)| {
                let best = best_other(results, row.refused, keys, *good);
                let ratio = figures.mean(keys).zip(best).map(|(own, (_, best))| own / best);
                ratio.map_or_else(|| " – |".to_owned(), |ratio| format!(" {} |", weighed(ratio, *good)))
            });
            format!("| {} |{}\n", row.title, cells.collect::<String>())
        })
        .collect();
    if lines.is_empty() || best_other(results, None, SHOWN[0].1, Good::AtLeast).is_none() {
        return String::new();
    }
    let titles: String = SHOWN.iter().map(|(title, ..)| format!(" {title} |")).collect();
    format!("| tinmesh, × the best other program |{titles}\n| --- |{}\n{lines}", " ---: |".repeat(SHOWN.len()))
}

/// A ratio as it is shown: bold if it is on the wrong side of one.
fn weighed(ratio: f64, good: Good) -> String {
    if good.is_better(1.0, ratio) { format!("**{ratio:.2}**") } else { format!("{ratio:.2}") }
}

/// The best of the other programs, and the mean of its figures. One that was not measured without what is refused counts with it.
fn best_other(results: &Results, refused: Option<Refused>, keys: &[&str], good: Good) -> Option<(&'static str, f64)> {
    let of_others = || results.rows.iter().filter(|(row, _)| row.is_of_others());
    let is_same = |row: &Row, other: &Row, figures: &Figures| {
        other.ends == row.ends && other.refused == refused && !figures.samples.is_empty()
    };
    let lacks = |row: &Row| of_others().any(|(other, figures)| is_same(row, other, figures));
    let counts = |row: &Row| row.refused == refused || row.refused.is_none() && !lacks(row);
    let others = of_others().filter(|(row, _)| counts(row));
    let others = others.filter_map(|(row, figures)| Some((row.name, figures.mean(keys)?)));
    others.reduce(|one, other| if good.is_better(other.1, one.1) { other } else { one })
}

impl Good {
    fn is_better(self, one: f64, other: f64) -> bool {
        match self {
            Self::AtLeast => one > other,
            Self::AtMost => one < other,
        }
    }
}

impl Mark {
    fn line(&self, results: &Results) -> Option<String> {
        let figure = |row: &str| results.figures(row)?.mean(self.keys);
        let own = figure(self.row)?;
        let (name, base) = match self.against {
            Against::Row(row) => (row.to_owned(), figure(row)?),
            Against::Best => {
                let best = best_other(results, None, self.keys, self.good)?;
                (format!("{}, the best other", best.0), best.1)
            }
            Against::Itself => (String::new(), 1.0),
        };
        let measured = own / base;
        let sign = if self.good == Good::AtLeast { "≥" } else { "≤" };
        let verdict = if self.good.is_better(self.limit, measured) { "**missed**" } else { "reached" };
        let factor = if matches!(self.against, Against::Itself) { "" } else { " ×" };
        // Between two programs of different makes there is no pipe.
        let pipe = figure("pipe").filter(|_| self.row != MIXED);
        let limit = pipe.map_or_else(|| "–".to_owned(), |pipe| format!("{:.2}{factor}", pipe / base));
        Some(format!(
            "| {} | {name} | {sign} {}{factor} | {measured:.2}{factor} | {verdict} | {limit} |\n",
            self.what, self.limit
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Figures, METRICS, Sample};
    use super::super::rows::named;
    use super::*;

    #[test]
    fn marks_name_rows_and_metrics_that_exist() {
        for mark in MARKS {
            assert!(named(mark.row).is_some() && mark.keys.iter().all(|key| METRICS.iter().any(|m| m.key == *key)));
            if let Against::Row(row) = mark.against {
                assert!(named(row).is_some(), "{row}");
            }
        }
        assert!(named(MIXED).is_some());
    }

    #[test]
    fn a_mark_is_reached_or_missed_by_its_ratio_to_the_right_row() {
        let row = |name: &str, value: f64| {
            let samples = vec![Sample::from([("udp64", value)])];
            (named(name).unwrap(), Figures { samples, failures: Vec::new() })
        };
        let results = Results::of(vec![row("tinmesh", 200.0), row("nebula", 50.0), row("boringtun", 100.0)]);
        let text = table(&results);
        assert!(text.contains("| UDP, 64 bytes | boringtun, the best other | ≥ 1.8 × | 2.00 × | reached |"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        let slow = Results::of(vec![row("tinmesh", 170.0), row("boringtun", 100.0), row("pipe", 210.0)]);
        assert!(table(&slow).contains("| **missed** | 2.10 × |"), "the pipe is no other program: {}", table(&slow));
    }

    #[test]
    fn a_restricted_row_is_compared_with_the_best_other_and_bold_where_it_is_worse() {
        let row = |name: &str, udp: f64, cpu: f64| {
            let samples = vec![Sample::from([("udp64", udp), ("cpu", cpu), ("tcp1", udp), ("tcp1-back", udp)])];
            (named(name).unwrap(), Figures { samples, failures: Vec::new() })
        };
        let rows = vec![row("tinmesh-portable", 90.0, 2.0), row("nebula", 50.0, 4.0), row("boringtun", 100.0, 8.0)];
        let text = restricted(&Results::of(rows));
        assert!(text.contains("portable cipher | **0.90** | – | 0.50 | **0.90** | – | – |"), "{text}");
        let rows = [
            "tinmesh-refused-udp",
            "wireguard-go",
            "wireguard-go-refused-udp",
            "wireguard-go-refused-both",
            "boringtun",
        ];
        let rows = rows.into_iter().zip([60.0, 90.0, 30.0, 80.0, 40.0]);
        let text = restricted(&Results::of(rows.map(|(name, udp)| row(name, udp, 1.0)).collect()));
        assert!(text.contains("UDP offloads refused | 1.50 |"), "boringtun is the best that lacks the same: {text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        let alone = Results::of(vec![row("tinmesh-portable", 90.0, 2.0)]);
        assert_eq!(restricted(&alone), "", "there is nothing to compare it with");
    }
}
