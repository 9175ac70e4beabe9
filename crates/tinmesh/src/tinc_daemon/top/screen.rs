//! What `top` shows: counters of nodes, their order and units, as text for a terminal (spec: cli B.7).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::control::dump::{Traffic, TrafficLine};

/// Lines above the first node.
const HEADING: usize = 3;

/// What a key asks for that the screen cannot do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing: draw again.
    Nothing,
    /// A new interval.
    Delay,
    /// The end.
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Name,
    InPackets,
    InBytes,
    OutPackets,
    OutBytes,
    TotalPackets,
    TotalBytes,
}

impl Sort {
    const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::InPackets => "in pkts",
            Self::InBytes => "in bytes",
            Self::OutPackets => "out pkts",
            Self::OutBytes => "out bytes",
            Self::TotalPackets => "tot pkts",
            Self::TotalBytes => "tot bytes",
        }
    }

    /// What rows are sorted by, falling; nothing: by name.
    fn key(self, [in_packets, in_bytes, out_packets, out_bytes]: [f64; 4]) -> f64 {
        match self {
            Self::Name => 0.0,
            Self::InPackets => in_packets,
            Self::InBytes => in_bytes,
            Self::OutPackets => out_packets,
            Self::OutBytes => out_bytes,
            Self::TotalPackets => in_packets + out_packets,
            Self::TotalBytes => in_bytes + out_bytes,
        }
    }
}

/// Names and sizes of the units of bytes and packets.
struct Unit {
    bytes: (&'static str, f64),
    packets: (&'static str, f64),
}

const UNITS: [(char, Unit); 4] = [
    ('b', Unit { bytes: ("bytes", 1.0), packets: ("pkts", 1.0) }),
    ('k', Unit { bytes: ("kbyte", 1e3), packets: ("pkts", 1.0) }),
    ('M', Unit { bytes: ("Mbyte", 1e6), packets: ("kpkt", 1e3) }),
    ('G', Unit { bytes: ("Gbyte", 1e9), packets: ("Mpkt", 1e6) }),
];

#[derive(Default)]
struct Row {
    /// Whether the daemon named the node when it was asked last.
    known: bool,
    total: Traffic,
    /// Packets and bytes in and out, for each second since the look before.
    rates: [f64; 4],
}

/// The state of the screen.
pub(super) struct Screen {
    network: String,
    rows: BTreeMap<String, Row>,
    sort: Sort,
    unit: usize,
    cumulative: bool,
}

fn numbers(traffic: &Traffic) -> [u64; 4] {
    [traffic.in_packets, traffic.in_bytes, traffic.out_packets, traffic.out_bytes]
}

#[expect(clippy::cast_precision_loss, reason = "ten digits are shown")]
fn as_float(number: u64) -> f64 {
    number as f64
}

impl Screen {
    /// An empty screen of a network.
    pub(super) fn new(network: &str) -> Self {
        let network = network.to_owned();
        Self { network, rows: BTreeMap::new(), sort: Sort::Name, unit: 0, cumulative: false }
    }

    /// Takes counters that came `since` the ones before.
    pub(super) fn update(&mut self, counters: &[TrafficLine], since: Option<Duration>) {
        for row in self.rows.values_mut() {
            row.known = false;
            row.rates = [0.0; 4];
        }
        for line in counters {
            let new = !self.rows.contains_key(&line.name);
            let row = self.rows.entry(line.name.clone()).or_default();
            let (before, now) = (numbers(&row.total), numbers(&line.traffic));
            if let (false, Some(seconds)) = (new, since.map(|since| since.as_secs_f64()).filter(|s| *s > 0.0)) {
                let mut pairs = before.into_iter().zip(now);
                // Counters that went back are those of a daemon that started anew.
                row.rates = [(); 4]
                    .map(|()| pairs.next().map_or(0.0, |(before, now)| as_float(now.saturating_sub(before)) / seconds));
            }
            (row.known, row.total) = (true, line.traffic);
        }
    }

    /// Does what a key asks for.
    pub(super) fn on_key(&mut self, letter: char) -> Wish {
        match letter {
            'q' => return Wish::Quit,
            's' => return Wish::Delay,
            'c' => self.cumulative = !self.cumulative,
            'n' => self.sort = Sort::Name,
            'i' => self.sort = Sort::InBytes,
            'I' => self.sort = Sort::InPackets,
            'o' => self.sort = Sort::OutBytes,
            'O' => self.sort = Sort::OutPackets,
            't' => self.sort = Sort::TotalBytes,
            'T' => self.sort = Sort::TotalPackets,
            letter => self.unit = UNITS.iter().position(|(key, _)| *key == letter).unwrap_or(self.unit),
        }
        Wish::Nothing
    }

    /// The whole screen, for a terminal of so many rows.
    pub(super) fn draw(&self, rows: usize) -> String {
        let kind = if self.cumulative { "Cumulative" } else { "Current" };
        let (name, count, sort) = (&self.network, self.rows.len(), self.sort.name());
        let first = format!("Tinc {name:<16}  Nodes: {count:>4}  Sort: {sort:<10}  {kind}");
        let (bytes, packets) = (self.unit().bytes.0, self.unit().packets.0);
        let third = format!("Node                IN {packets}   IN {bytes}   OUT {packets}  OUT {bytes}");
        let mut text = format!("\x1b[H{first}\x1b[K\r\n\x1b[K\r\n\x1b[7m{third}\x1b[K\x1b[0m");
        for line in self.lines().into_iter().take(rows.saturating_sub(HEADING)) {
            text.push_str("\r\n");
            text.push_str(&line);
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        text
    }

    fn unit(&self) -> &Unit {
        let [(_, bytes), ..] = &UNITS;
        UNITS.get(self.unit).map_or(bytes, |(_, unit)| unit)
    }

    fn lines(&self) -> Vec<String> {
        let shown = |row: &Row| if self.cumulative { numbers(&row.total).map(as_float) } else { row.rates };
        let mut rows: Vec<(&String, &Row, [f64; 4])> =
            self.rows.iter().map(|(name, row)| (name, row, shown(row))).collect();
        rows.sort_by(|(.., a), (.., b)| self.sort.key(*b).total_cmp(&self.sort.key(*a)));
        rows.into_iter().map(|(name, row, numbers)| self.line(name, row, numbers)).collect()
    }

    fn line(&self, name: &str, row: &Row, [in_packets, in_bytes, out_packets, out_bytes]: [f64; 4]) -> String {
        let Unit { bytes: (_, bytes), packets: (_, packets) } = self.unit();
        let [a, b, c, d] = [in_packets / packets, in_bytes / bytes, out_packets / packets, out_bytes / bytes];
        let line = format!("{name:<16} {a:>10.0} {b:>10.0} {c:>10.0} {d:>10.0}");
        if !row.known {
            format!("\x1b[2m{line}\x1b[0m")
        } else if in_packets > 0.0 || out_packets > 0.0 {
            format!("\x1b[1m{line}\x1b[0m")
        } else {
            line
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(nodes: &[(&str, [u64; 4])]) -> Vec<TrafficLine> {
        let line = |(name, [in_packets, in_bytes, out_packets, out_bytes]): &(&str, [u64; 4])| {
            let traffic = Traffic {
                in_packets: *in_packets,
                in_bytes: *in_bytes,
                out_packets: *out_packets,
                out_bytes: *out_bytes,
            };
            TrafficLine { name: (*name).to_owned(), traffic }
        };
        nodes.iter().map(line).collect()
    }

    /// The screen without what is for the terminal.
    fn shown(screen: &Screen, rows: usize) -> Vec<String> {
        let mut text = screen.draw(rows);
        for code in ["\x1b[H", "\x1b[K", "\x1b[J", "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[7m"] {
            text = text.replace(code, "");
        }
        text.split("\r\n").map(str::to_owned).collect()
    }

    fn two_nodes() -> Screen {
        let mut screen = Screen::new("vpn");
        screen.update(&counters(&[("alice", [0; 4]), ("bob", [10, 1_000, 20, 2_000])]), None);
        screen.update(&counters(&[("alice", [0; 4]), ("bob", [30, 5_000, 24, 2_400])]), Some(Duration::from_secs(2)));
        screen
    }

    #[test]
    fn the_screen_looks_as_tincs() {
        let mut screen = Screen::new("vpn");
        screen.update(&counters(&[("alice", [0; 4])]), None);

        let expected = [
            "Tinc vpn               Nodes:    1  Sort: name        Current",
            "",
            "Node                IN pkts   IN bytes   OUT pkts  OUT bytes",
            "alice                     0          0          0          0",
        ];
        assert_eq!(shown(&screen, 24), expected);
        assert!(screen.draw(24).contains("\x1b[7mNode "), "the heading is in reverse video");
    }

    #[test]
    fn rates_are_for_a_second_and_totals_since_the_start() {
        let mut screen = two_nodes();
        assert_eq!(shown(&screen, 24)[4], "bob                      10       2000          2        200");

        assert_eq!(screen.on_key('c'), Wish::Nothing);

        assert_eq!(shown(&screen, 24)[4], "bob                      30       5000         24       2400");
        assert!(shown(&screen, 24)[0].ends_with("  Cumulative"));
    }

    #[test]
    fn keys_sort_by_falling_numbers() {
        for (key, name) in [
            ('i', "in bytes"),
            ('I', "in pkts"),
            ('o', "out bytes"),
            ('O', "out pkts"),
            ('t', "tot bytes"),
            ('T', "tot pkts"),
        ] {
            let mut screen = two_nodes();
            screen.on_key(key);
            let lines = shown(&screen, 24);
            assert!(lines[0].contains(&format!("Sort: {name:<10}")), "{}", lines[0]);
            assert!(lines[3].starts_with("bob"), "{key}: {lines:?}");

            screen.on_key('n');

            assert!(shown(&screen, 24)[3].starts_with("alice"), "{key}");
        }
    }

    #[test]
    fn keys_choose_units() {
        let mut screen = two_nodes();
        screen.on_key('c');
        for (key, heading, bytes) in [
            ('k', "IN pkts   IN kbyte", "         5"),
            ('M', "IN kpkt   IN Mbyte", "         0"),
            ('G', "IN Mpkt   IN Gbyte", "         0"),
            ('b', "IN pkts   IN bytes", "      5000"),
        ] {
            screen.on_key(key);
            let lines = shown(&screen, 24);
            assert!(lines[2].contains(heading), "{}", lines[2]);
            assert_eq!(&lines[4][28..38], bytes, "{key}");
        }
    }

    #[test]
    fn traffic_is_bold_and_a_lost_node_dim() {
        let mut screen = two_nodes();
        assert!(screen.draw(24).contains("\x1b[1mbob "));

        screen.update(&counters(&[("bob", [30, 5_000, 24, 2_400])]), Some(Duration::from_secs(1)));

        assert!(screen.draw(24).contains("\x1b[2malice "));
        assert!(screen.draw(24).contains("\r\nbob "), "nothing came since");
    }

    #[test]
    fn a_small_terminal_shows_the_first_nodes() {
        assert_eq!(shown(&two_nodes(), 4).len(), 4);
        assert_eq!(shown(&two_nodes(), 0).len(), 3);
    }

    #[test]
    fn q_and_s_are_wishes() {
        let mut screen = two_nodes();
        assert_eq!(
            [screen.on_key('q'), screen.on_key('s'), screen.on_key('x')],
            [Wish::Quit, Wish::Delay, Wish::Nothing]
        );
    }
}
