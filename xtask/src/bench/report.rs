//! The report: what was measured on which machine, as Markdown and as JSON.

use std::fs;

use anyhow::Result;

use super::super::shell::{command, output};
use super::figures::{Figures, METRICS, Metric};
use super::options::Options;
use super::rows::Row;
use super::{MTU, marks};

/// Everything that came of a run.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) rows: Vec<(&'static Row, Figures)>,
}

impl Results {
    pub(super) fn of(rows: Vec<(&'static Row, Figures)>) -> Self {
        Self { rows }
    }

    /// The figures of a row, if it was measured.
    pub(super) fn figures(&self, name: &str) -> Option<&Figures> {
        self.rows.iter().find(|(row, _)| row.name == name).map(|(_, figures)| figures)
    }

    /// As a table of tables: every value of every round, and the medians.
    pub(super) fn json(&self) -> serde_json::Value {
        let rows = self.rows.iter().map(|(row, figures)| {
            let medians: serde_json::Map<_, _> = METRICS
                .iter()
                .filter_map(|metric| Some((metric.key.to_owned(), figures.spread(metric.key)?.median.into())))
                .collect();
            let value = serde_json::json!({
                "median": medians, "rounds": figures.samples, "failures": figures.failures,
            });
            (row.name.to_owned(), value)
        });
        serde_json::Value::Object(rows.collect())
    }
}

/// The results as Markdown, in parts of which each stands alone.
#[derive(Debug)]
pub(super) struct Report {
    /// Processor, kernel, day; where the traffic runs.
    machine: String,
    /// The figures that say most, of all programs.
    programs: String,
    /// Everything else.
    rest: String,
}

impl Report {
    /// `offloads` is what the cables do.
    pub(super) fn new(options: &Options, results: &Results, offloads: &str) -> Result<Self> {
        let main = |metric: &Metric| metric.is_main;
        let name = |row: &Row| row.name == "tinmesh" || row.variant;
        let mut rest = String::new();
        if results.rows.iter().any(|(row, _)| row.variant) {
            rest += &format!(
                "With other settings, or refused something, and a mere pipe:\n\n{}\n",
                table(results, main, name, median)
            );
        }
        rest += &format!("Median, lowest and highest:\n\n{}\n", table(results, |_| true, |_| true, whole));
        rest += &format!("Marks:\n\n{}\n", marks::table(results));
        let restricted = marks::restricted(results);
        if !restricted.is_empty() {
            rest += &format!("With a part switched off, or refused to all:\n\n{restricted}\n");
        }
        rest += &format!("Programs:\n\n{}", programs(options, results));
        Ok(Self {
            machine: format!("{}.\n\n{}\n", machine()?, conditions(options, offloads)),
            programs: table(results, main, |row| !row.variant, median),
            rest,
        })
    }

    /// What fits the README: the picture is at `picture`.
    pub(super) fn short(&self, picture: &str) -> String {
        format!("{}\n{}\n![the same as bars]({picture})\n", self.machine, self.programs)
    }

    /// All of it.
    pub(super) fn long(&self, picture: &str) -> String {
        format!("{}\n{}", self.short(picture), self.rest)
    }
}

fn conditions(options: &Options, offloads: &str) -> String {
    let cable = if options.is_plain_card { "made to act as a plain network card" } else { "left as it is" };
    let warning = if options.is_quick { " **A quick run: not to be compared.**" } else { "" };
    let rounds = if options.rounds == 1 { "one round".to_owned() } else { format!("{} rounds", options.rounds) };
    format!(
        "Both ends, the source of the traffic and its sink share this machine: network namespaces on one cable (veth, 1,500 \
         bytes; {cable}: {offloads}), MTU {MTU} inside. Medians of {rounds} over all programs in turn. CPU time is that of \
         both daemons for one stream in each direction; memory is the peak of the larger end over all measurements; \
         datagrams are at the highest rate that loses at most 1 %; a ping goes every 10 ms.{warning}"
    )
}

/// Processor, kernel and day.
fn machine() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let value = |name: &str| {
        let line = cpu.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split(':').nth(1)).unwrap_or_default().trim().to_owned()
    };
    let flags = value("flags");
    let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
    let wide = ["avx2", "avx512f", "avx512ifma", "vaes"].into_iter().filter(|flag| has(flag));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let day = output(&mut command("date", &["-u", "+%-d %B %Y, %H:%M UTC"]))?;
    Ok(format!(
        "{cores} × {} ({}), Linux {}, {}",
        value("model name"),
        wide.collect::<Vec<_>>().join(" "),
        kernel.trim(),
        day.trim()
    ))
}

/// A line for each metric, a column for each row of the bench.
fn table(
    results: &Results,
    is_shown: impl Fn(&Metric) -> bool,
    has_column: impl Fn(&Row) -> bool,
    cell: impl Fn(&Figures, &Metric) -> Option<String>,
) -> String {
    let columns: Vec<_> = results.rows.iter().filter(|(row, _)| has_column(row)).collect();
    let titles: String = columns.iter().map(|(row, _)| format!(" {} |", row.title)).collect();
    let mut text = format!("| |{titles}\n| --- |{}\n", " ---: |".repeat(columns.len()));
    for metric in METRICS.iter().filter(|metric| is_shown(metric)) {
        let cells = columns.iter().map(|(_, figures)| cell(figures, metric).unwrap_or_else(|| "–".to_owned()));
        let cells: String = cells.map(|cell| format!(" {cell} |")).collect();
        text += &format!("| {}, {} |{cells}\n", metric.title, metric.unit);
    }
    text
}

fn median(figures: &Figures, metric: &Metric) -> Option<String> {
    let (spread, decimals) = (figures.spread(metric.key)?, metric.decimals);
    Some(format!("{:.decimals$}", spread.median))
}

fn whole(figures: &Figures, metric: &Metric) -> Option<String> {
    let (spread, decimals) = (figures.spread(metric.key)?, metric.decimals);
    Some(format!("{:.decimals$} ({:.decimals$}–{:.decimals$})", spread.median, spread.low, spread.high))
}

/// Versions, and why a figure is missing.
fn programs(options: &Options, results: &Results) -> String {
    let mut text = String::new();
    for (row, figures) in &results.rows {
        let mut versions: Vec<String> = Vec::new();
        if !figures.samples.is_empty() {
            versions.extend(row.programs().into_iter().map(|program| program.version(options.profile())));
        }
        versions.extend(row.settings.iter().map(|setting| format!("`{setting}`")));
        versions.extend(row.environment.iter().map(|(name, value)| format!("`{name}={value}`")));
        text += &format!("- {}: {}\n", row.title, versions.join("; "));
        for failure in &figures.failures {
            text += &format!("  - missing: {}\n", failure.replace('\n', " "));
        }
    }
    text
}
