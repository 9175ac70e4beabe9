//! `tinmesh dump --json`: the daemon's lists for programs.

use std::io::Write;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::json::print;
use super::place::Place;
use crate::control::dump::{ConnectionLine, EdgeLine, NodeLine, SubnetLine};
use crate::files::invitations::{Outstanding, outstanding};
use crate::tinc_daemon::dump::{What, is_of_files};

/// Prints a list as a JSON array, and a graph as an object with two of them.
pub(super) fn run(place: &Place, words: &[String], out: &mut dyn Write) -> Result<()> {
    if is_of_files(words) {
        return print(&invitations(place)?, out);
    }
    let what = What::parse("tinmesh", words)?;
    let mut client = place.connect()?;
    let value: Value = match what {
        What::Nodes { reachable } => {
            client.nodes()?.iter().filter(|node| node.is_reachable() || !reachable).map(node).collect()
        }
        What::Edges => client.edges()?.iter().map(edge).collect(),
        What::Subnets => client.subnets()?.iter().map(subnet).collect(),
        What::Connections => client.connections()?.iter().map(connection).collect(),
        What::Graph(_) => {
            let nodes: Value = client.nodes()?.iter().map(node).collect();
            json!({ "nodes": nodes, "edges": client.edges()?.iter().map(edge).collect::<Value>() })
        }
    };
    print(&value, out)
}

fn invitations(place: &Place) -> Result<Value> {
    let directory = place.paths.invitations();
    let outstanding = outstanding(&place.paths).with_context(|| format!("Could not read {}", directory.display()))?;
    let invitation = |found: &Outstanding| {
        let node = found.node.as_ref().map(ToString::to_string);
        json!({ "node": node, "file": directory.join(&found.file_name) })
    };
    Ok(outstanding.iter().map(invitation).collect())
}

/// A node as all commands show it.
pub(super) fn node(node: &NodeLine) -> Value {
    let known = |name: &String| Some(name).filter(|name| *name != "-").cloned();
    let traffic = &node.traffic;
    json!({
        "name": node.name,
        "id": node.id,
        "me": node.is_me(),
        "address": node.endpoint.joined(),
        "reachable": node.is_reachable(),
        "options": node.options,
        "status": node.status,
        "nexthop": known(&node.nexthop),
        "via": known(&node.via),
        "distance": node.distance,
        "mtu": { "current": node.mtu, "min": node.min_mtu, "max": node.max_mtu },
        "changed": node.changed,
        "rtt_ms": node.rtt.map(|rtt| rtt.as_micros() as f64 / 1000.0),
        "compression": node.compression,
        "received": { "packets": traffic.in_packets, "bytes": traffic.in_bytes },
        "sent": { "packets": traffic.out_packets, "bytes": traffic.out_bytes },
    })
}

fn edge(edge: &EdgeLine) -> Value {
    json!({
        "from": edge.from,
        "to": edge.to,
        "address": edge.endpoint.joined(),
        "local": edge.local.joined(),
        "options": edge.options,
        "weight": edge.weight,
    })
}

/// A subnet as all commands show it.
pub(super) fn subnet(line: &SubnetLine) -> Value {
    let owner = Some(&line.owner).filter(|owner| *owner != "(broadcast)");
    json!({ "subnet": line.subnet, "owner": owner })
}

fn connection(line: &ConnectionLine) -> Value {
    let address = line.endpoint.joined();
    json!({ "name": line.name, "address": address, "options": line.options, "status": line.status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tinmesh::Network;
    use crate::control::fake_daemon::FakeDaemon;

    fn listed(replies: &[&str], text: &str) -> Result<Value> {
        let daemon = FakeDaemon::answering(replies);
        let dir = daemon.paths().confbase;
        let network = Network {
            config: Some(dir.clone()),
            net: Some(String::new()),
            pidfile: Some(dir.join("pid")),
            ..Network::default()
        };
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let mut out = Vec::new();
        run(&Place::named(&network).unwrap(), &words, &mut out)?;
        Ok(serde_json::from_slice(&out).unwrap())
    }

    #[test]
    fn lists_are_arrays_of_objects() {
        let edges =
            listed(&["18 4 alice bob 127.0.0.1 port 6002 unspec port unspec 700000c 1\n18 4\n"], "edges").unwrap();
        let expected = json!([{
            "from": "alice", "to": "bob", "address": "127.0.0.1:6002", "local": null, "options": 0x0700_000c, "weight": 1,
        }]);
        assert_eq!(edges, expected);
        let subnets = listed(&["18 5 10.0.0.0/8 bob\n18 5 224.0.0.0/4 (broadcast)\n18 5\n"], "subnets").unwrap();
        let expected = json!([
            { "subnet": "10.0.0.0/8", "owner": "bob" },
            { "subnet": "224.0.0.0/4", "owner": null },
        ]);
        assert_eq!(subnets, expected);
    }

    #[test]
    fn unreachable_nodes_can_be_left_out() {
        let nodes = "18 3 bob 0416a26ba554 10.0.0.2 port 655 0 0 0 0 c 58 bob bob 1 1518 0 1518 9 247 3 4 5 6\n\
                     18 3 carol 0416a26ba554 unknown port unknown 0 0 0 0 0 0 - - -1 0 0 0 0 -1 0 0 0 0\n18 3\n";
        let all = listed(&[nodes], "nodes").unwrap();
        let reachable = listed(&[nodes], "reachable nodes").unwrap();
        assert_eq!((all[1]["via"].clone(), all[1]["address"].clone()), (Value::Null, Value::Null));
        assert_eq!(reachable, json!([all[0]]));
        assert_eq!(reachable[0]["sent"], json!({ "packets": 5, "bytes": 6 }));
    }
}
