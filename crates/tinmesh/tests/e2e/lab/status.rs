//! What `tinc dump nodes` says of a node, and what the system says of a process.

/// One line of `tinc dump nodes`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NodeStatus {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) port: String,
    pub(crate) options: u32,
    pub(crate) status: u32,
    pub(crate) nexthop: String,
    pub(crate) via: String,
    pub(crate) distance: i32,
    pub(crate) mtu: u32,
    pub(crate) min_mtu: u32,
    pub(crate) max_mtu: u32,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl NodeStatus {
    /// Reads the line: labels and their values, see the specification of the command line, B.4.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let line = line.replace(['(', ')'], " ");
        let words: Vec<&str> = line.split_whitespace().collect();
        let after =
            |label: &str| words.iter().position(|word| *word == label).and_then(|at| words.get(at + 1)).copied();
        let packets = |label: &str| after(label).and_then(|word| word.parse().ok());
        Some(Self {
            name: (*words.first()?).to_owned(),
            address: after("at").unwrap_or("unknown").to_owned(),
            port: after("port")?.to_owned(),
            options: u32::from_str_radix(after("options")?, 16).ok()?,
            status: u32::from_str_radix(after("status")?, 16).ok()?,
            nexthop: after("nexthop")?.to_owned(),
            via: after("via")?.to_owned(),
            distance: after("distance")?.parse().ok()?,
            mtu: after("pmtu")?.parse().ok()?,
            min_mtu: after("min")?.parse().ok()?,
            max_mtu: after("max")?.parse().ok()?,
            received: packets("rx")?,
            sent: packets("tx")?,
        })
    }

    /// The graph has a way to it.
    pub(crate) fn reachable(&self) -> bool {
        self.status & 0x10 != 0
    }

    /// A probe over UDP was answered.
    pub(crate) fn udp_confirmed(&self) -> bool {
        self.status & 0x80 != 0
    }

    /// Packets go to it over UDP without a relay.
    pub(crate) fn direct(&self) -> bool {
        self.reachable() && self.udp_confirmed() && self.min_mtu > 0 && self.via == self.name
    }

    /// The search for the path MTU is over.
    pub(crate) fn mtu_found(&self) -> bool {
        self.udp_confirmed() && self.min_mtu > 0 && self.min_mtu == self.max_mtu
    }
}

/// Resident memory of a process, in KiB.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

/// Processor time that a process has used, in ticks of 10 ms.
pub(crate) fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("a number of ticks")).sum()
}

/// User ids of a process: real, effective, saved, file system.
pub(crate) fn user_ids(pid: u32) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("a process has a user");
    line.split_whitespace().map(|id| id.parse().expect("a number")).collect()
}

#[test]
fn a_line_of_dump_nodes_is_read_by_its_labels() {
    let line = "bob id 0416a26ba554 at 127.0.0.1 port 6002 cipher 0 digest 0 maclength 0 compression 0 \
                options 700000c status 0898 nexthop carol via bob distance 2 pmtu 1239 (min 1239 max 1239) \
                rx 30 4260 tx 31 4261 rtt 0.247";
    let status = NodeStatus::parse(line).expect("the line is whole");
    assert_eq!((status.nexthop.as_str(), status.via.as_str(), status.distance), ("carol", "bob", 2));
    assert_eq!((status.mtu, status.min_mtu, status.max_mtu), (1239, 1239, 1239));
    assert_eq!((status.received, status.sent), (30, 31));
    assert!(status.direct() && status.mtu_found());
}
