//! What is measured, and what came of it.

use std::collections::BTreeMap;

/// One figure of the report.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) decimals: usize,
    /// The first table has it.
    pub(super) is_main: bool,
}

const fn first(key: &'static str, title: &'static str, unit: &'static str, decimals: usize) -> Metric {
    Metric { key, title, unit, decimals, is_main: true }
}

const fn other(key: &'static str, title: &'static str, unit: &'static str, decimals: usize) -> Metric {
    Metric { key, title, unit, decimals, is_main: false }
}

/// All figures, in the report's order.
pub(super) const METRICS: &[Metric] = &[
    first("tcp1", "TCP, one stream, →", "Gbit/s", 2),
    first("tcp1-back", "TCP, one stream, ←", "Gbit/s", 2),
    first("tcp4", "TCP, four streams, →", "Gbit/s", 2),
    first("tcp4-back", "TCP, four streams, ←", "Gbit/s", 2),
    first("cpu", "CPU time, both daemons", "s/GB", 2),
    first("udp64", "UDP, 64 bytes", "k/s", 0),
    first("udp1300", "UDP, 1,300 bytes", "k/s", 0),
    first("idle-p50", "round trip, idle, p50", "ms", 2),
    first("load-average", "round trip under load, average", "ms", 2),
    first("load-p99", "round trip under load, p99", "ms", 2),
    first("memory", "memory, peak", "MiB", 1),
    first("relay", "TCP, relayed by a third", "Gbit/s", 2),
    other("load-lost", "pings lost under load", "%", 1),
    other("cpu4", "CPU time, four streams", "s/GB", 2),
    other("relay-cpu", "CPU time of the relay", "s/GB", 2),
    other("start", "start to first ping", "s", 2),
    other("idle-cpu", "idle CPU", "%", 2),
];

/// What one round gave: a value for each metric that could be measured.
pub(super) type Sample = BTreeMap<&'static str, f64>;

/// All rounds of a row.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) samples: Vec<Sample>,
    /// Why something is missing.
    pub(super) failures: Vec<String>,
}

/// Lowest, median, highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Figures {
    /// The spread of a metric over the rounds that have it.
    pub(super) fn spread(&self, key: &str) -> Option<Spread> {
        let mut values: Vec<f64> = self.samples.iter().filter_map(|sample| sample.get(key).copied()).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Spread { low, median, high })
    }

    /// The mean of the medians of these metrics.
    pub(super) fn mean(&self, keys: &[&str]) -> Option<f64> {
        let medians: Option<Vec<f64>> = keys.iter().map(|key| self.spread(key).map(|spread| spread.median)).collect();
        medians.map(|medians| medians.iter().sum::<f64>() / keys.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_over_the_rounds_that_have_the_metric() {
        let sample = |value: f64| Sample::from([("tcp1", value)]);
        let mut figures = Figures { samples: vec![sample(3.0), Sample::new(), sample(1.0)], failures: Vec::new() };
        assert_eq!(figures.spread("tcp1"), Some(Spread { low: 1.0, median: 2.0, high: 3.0 }));
        figures.samples.push(sample(2.5));
        assert_eq!(figures.spread("tcp1").unwrap().median, 2.5);
        assert_eq!(figures.mean(&["tcp1", "tcp4"]), None);
    }
}
