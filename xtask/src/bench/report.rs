//! The report: what was measured on which machine, as Markdown and as JSON.

use std::fmt::Write as _;
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

/// The report as Markdown; `offloads` is what the cables do.
pub(super) fn markdown(options: &Options, results: &Results, offloads: &str) -> Result<String> {
    let mut text = String::from("# cargo xtask bench\n\n");
    writeln!(text, "{}\n", machine()?)?;
    writeln!(
        text,
        "Both ends, the traffic's source and its sink are on this machine: network namespaces on one cable (veth, 1,500 \
         bytes; {}: {offloads}), interface MTU {MTU}. Rounds go over all programs in turn. Median (lowest–highest) of {} \
         rounds{}. CPU is that of both daemons for one stream in both directions; memory is the peak of the larger end \
         over all measurements; datagrams are the highest rate with at most 1 % loss; pings every 10 ms.\n",
        if options.is_plain_card { "made to act as a plain network card" } else { "left as it is" },
        options.rounds,
        if options.is_quick { ", **of a quick run: not to be compared**" } else { "" },
    )?;
    text += &table(results, |metric| metric.is_main);
    text += "\n![the same as bars](report.svg)\n\n";
    text += &table(results, |metric| !metric.is_main);
    text += "\n## Marks\n\n";
    text += &marks::table(results);
    text += "\n## Programs\n\n";
    text += &programs(options, results);
    Ok(text)
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

fn table(results: &Results, is_wanted: impl Fn(&Metric) -> bool) -> String {
    let metrics: Vec<&Metric> = METRICS.iter().filter(|metric| is_wanted(metric)).collect();
    let titles: String = metrics.iter().map(|metric| format!(" {}, {} |", metric.title, metric.unit)).collect();
    let mut text = format!("| |{titles}\n| --- |{}\n", " ---: |".repeat(metrics.len()));
    for (row, figures) in &results.rows {
        let cells: String = metrics.iter().map(|metric| format!(" {} |", cell(figures, metric))).collect();
        text += &format!("| {} |{cells}\n", row.title);
    }
    text
}

fn cell(figures: &Figures, metric: &Metric) -> String {
    let Some(spread) = figures.spread(metric.key) else { return "–".to_owned() };
    let decimals = metric.decimals;
    if figures.samples.len() < 2 {
        return format!("{:.decimals$}", spread.median);
    }
    format!("{:.decimals$} ({:.decimals$}–{:.decimals$})", spread.median, spread.low, spread.high)
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
        text += &format!("- {}: {}\n", row.title, versions.join("; "));
        for failure in &figures.failures {
            text += &format!("  - missing: {}\n", failure.replace('\n', " "));
        }
    }
    text
}
