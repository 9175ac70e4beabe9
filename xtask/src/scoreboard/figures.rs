//! What the laboratory's programs print, as figures.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One simulated pair of NATs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// Mapping, filtering and ports of each NAT.
    pub(super) nats: [String; 2],
    /// What could be.
    pub(super) class: String,
    /// Seconds to the first answer and to a direct path.
    pub(super) first: Option<f64>,
    pub(super) direct: Option<f64>,
    pub(super) probes: u64,
    /// Probes in the worst second.
    pub(super) peak: u64,
    /// Outer ports that the worse-off router gave, and entries that it made.
    pub(super) mappings: u64,
    pub(super) entries: u64,
}

impl Cell {
    /// The behaviour of a side without its ports: `EIM/APDF`.
    pub(super) fn behaviour(&self, side: usize) -> &str {
        self.nats[side].split(' ').next().unwrap_or_default()
    }
}

/// One simulated scene.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scene {
    pub(super) group: String,
    pub(super) title: String,
    pub(super) unit: String,
    pub(super) at_most: bool,
    pub(super) limit: f64,
    /// One value for each seed.
    pub(super) values: Vec<f64>,
}

impl Scene {
    /// The worst value.
    pub(super) fn worst(&self) -> f64 {
        let pick = if self.at_most { f64::max } else { f64::min };
        self.values.iter().copied().reduce(pick).unwrap_or(f64::NAN)
    }

    pub(super) fn is_reached(&self) -> bool {
        if self.at_most { self.worst() <= self.limit } else { self.worst() >= self.limit }
    }
}

/// A real cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Real {
    /// Seconds to the first answer and to a direct path.
    pub(super) first: Option<f64>,
    pub(super) direct: Option<f64>,
    /// Seconds until packets went straight by TCP.
    pub(super) by_tcp: Option<f64>,
    /// Seconds of silence after the event, and per cent answered from 20 s after it on.
    pub(super) silence: Option<f64>,
    pub(super) answered: Option<f64>,
    /// Fragments of packets that hosts sent.
    pub(super) fragments: u64,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) cells: Vec<Cell>,
    pub(super) scenes: Vec<Scene>,
    /// Titles of real cells in order, and what each program did there.
    pub(super) titles: Vec<String>,
    pub(super) real: BTreeMap<(String, String), Real>,
    /// What did not work at all.
    pub(super) broken: Vec<String>,
}

fn seconds(millis: &str) -> Option<f64> {
    millis.parse::<f64>().ok().map(|millis| millis / 1000.0)
}

impl Figures {
    pub(super) fn parse(lines: &str) -> Self {
        let mut figures = Self::default();
        for line in lines.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            if figures.take(&words).is_none() {
                figures.broken.push(words.join(" · "));
            }
        }
        figures
    }

    fn take(&mut self, words: &[&str]) -> Option<()> {
        match *words {
            ["cell", a, b, class, first, direct, probes, peak, mappings, entries] => self.cells.push(Cell {
                nats: [a.to_owned(), b.to_owned()],
                class: class.to_owned(),
                first: seconds(first),
                direct: seconds(direct),
                probes: probes.parse().ok()?,
                peak: peak.parse().ok()?,
                mappings: mappings.parse().ok()?,
                entries: entries.parse().ok()?,
            }),
            ["scene", group, title, unit, kind, limit, value] => {
                let value = value.parse().ok()?;
                match self.scenes.iter_mut().find(|scene| scene.title == title) {
                    Some(scene) => scene.values.push(value),
                    None => self.scenes.push(Scene {
                        group: group.to_owned(),
                        title: title.to_owned(),
                        unit: unit.to_owned(),
                        at_most: kind == "at-most",
                        limit: limit.parse().ok()?,
                        values: vec![value],
                    }),
                }
            }
            ["real", label, title, first, direct, by_tcp, silence, answered, fragments] => {
                if !self.titles.iter().any(|known| known == title) {
                    self.titles.push(title.to_owned());
                }
                let [first, direct, by_tcp, silence] = [first, direct, by_tcp, silence].map(seconds);
                let (answered, fragments) = (answered.parse().ok(), fragments.parse().ok()?);
                let figures = Real { first, direct, by_tcp, silence, answered, fragments };
                self.real.insert((label.to_owned(), title.to_owned()), figures);
            }
            _ => return None,
        }
        Some(())
    }

    /// The programs that were in the real cells, ours first.
    pub(super) fn labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = self.real.keys().map(|(label, _)| label.as_str()).collect();
        labels.dedup();
        labels.sort_by_key(|label| *label != super::OURS);
        labels
    }

    /// Fragments that hosts sent in all real cells, by program.
    pub(super) fn fragments(&self) -> Vec<(&str, u64)> {
        let of =
            |label: &str| self.real.iter().filter(|((own, _), _)| own == label).map(|(_, real)| real.fragments).sum();
        self.labels().into_iter().map(|label| (label, of(label))).collect()
    }

    pub(super) fn json(&self) -> Value {
        let cells = self.cells.iter().map(|cell| {
            json!({ "a": cell.nats[0], "b": cell.nats[1], "class": cell.class, "first_s": cell.first,
                    "direct_s": cell.direct, "probes": cell.probes, "peak_per_s": cell.peak, "mappings": cell.mappings })
        });
        let scenes = self.scenes.iter().map(|scene| {
            json!({ "mark": scene.group, "title": scene.title, "unit": scene.unit, "limit": scene.limit,
                    "at_most": scene.at_most, "values": scene.values, "reached": scene.is_reached() })
        });
        let real = self.real.iter().map(|((label, title), real)| {
            json!({ "program": label, "title": title, "first_s": real.first, "direct_s": real.direct,
                    "straight_by_tcp_s": real.by_tcp, "silence_s": real.silence, "answered_percent": real.answered,
                    "fragments": real.fragments })
        });
        json!({
            "cells": cells.collect::<Vec<_>>(),
            "scenes": scenes.collect::<Vec<_>>(),
            "real": real.collect::<Vec<_>>(),
            "broken": self.broken,
        })
    }
}

#[cfg(test)]
pub(super) const SAMPLE: &str = "\
cell\tEIM/EIF kept\tAPDM/APDF random\tcertain\t321\t420\t4\t4\t2\t9
cell\tEIM/APDF kept\tAPDM/APDF +1\tone port: delta\t321\t-\t45\t11\t2\t9
scene\tG6\tUDP cut\ts\tat-most\t5\t29.5
scene\tG6\tUDP cut\ts\tat-most\t5\t3
scene\tG8\tlong packets\t%\tat-least\t95\t100
real\ttinc-1.1\tfull cones\t384\t1101\t-\t-\t-\t3
real\ttinmesh\tfull cones\t331\t1001\t-\t-\t-\t0
real\ttinc-1.1\tUDP blocked\t7100\t-\t-\t-\t-\t4
real\ttinmesh\tUDP blocked\t331\t-\t6800\t-\t-\t0
broken\tsomething";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_print_is_understood_and_what_not_is_kept() {
        let figures = Figures::parse(SAMPLE);
        assert_eq!((figures.cells.len(), figures.scenes.len(), figures.real.len()), (2, 2, 4));
        assert_eq!(figures.cells[0].direct, Some(0.42));
        assert_eq!(figures.cells[1].direct, None);
        assert_eq!(figures.cells[1].behaviour(0), "EIM/APDF");
        assert_eq!(figures.scenes[0].worst(), 29.5);
        assert!(!figures.scenes[0].is_reached() && figures.scenes[1].is_reached());
        assert_eq!(figures.labels(), ["tinmesh", "tinc-1.1"]);
        assert_eq!(figures.fragments(), [("tinmesh", 0), ("tinc-1.1", 7)]);
        assert_eq!(figures.broken, ["broken · something"]);
        assert_eq!(figures.json()["scenes"][0]["reached"], false);
    }
}
