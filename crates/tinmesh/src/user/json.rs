//! Commands of tinc as `tinmesh` answers them to programs: `--json`. `docs/json.md` describes each, and a test compares.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use super::place::Place;
use super::{list, run_tinc};
use crate::cli::tinmesh::commands::Question;
use crate::tinc::{self, Told};
use crate::tinc_daemon::Tool;
use crate::tinc_daemon::info::{Found, find};

#[cfg(test)]
mod tests;

/// Prints a value.
pub(super) fn print(value: &impl Serialize, out: &mut dyn Write) -> Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(value)?)?)
}

/// Answers a question.
pub(super) fn run(place: &Place, question: &Question, out: &mut dyn Write) -> Result<()> {
    match question {
        Question::Get { .. } => print(&lines(place, question)?, out),
        Question::Info { item, .. } => print(&info(place, item)?, out),
        Question::Network { .. } => print(&networks(place, question)?, out),
        Question::Pid(_) => print(&pid(place)?, out),
        Question::Fsck(_) => fsck(place, out),
        Question::Version(_) => print(&version(), out),
    }
}

/// The lines with which it is answered to people.
fn lines(place: &Place, question: &Question) -> Result<Vec<String>> {
    let mut text = Vec::new();
    run_tinc(place, &question.words(), &mut text)?;
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

fn info(place: &Place, item: &str) -> Result<Value> {
    Ok(match find(&mut place.connect()?, item)? {
        Found::Node { node, edges, subnets } => {
            let mut value = list::node(&node);
            let own_edges = edges.iter().filter(|edge| edge.from == node.name);
            let own_subnets = subnets.iter().filter(|line| line.owner == node.name);
            value["edges"] = own_edges.map(|edge| edge.to.as_str()).collect();
            value["subnets"] = own_subnets.map(|line| line.subnet.as_str()).collect();
            value
        }
        Found::Subnets(subnets) => subnets.iter().map(list::subnet).collect(),
    })
}

fn networks(place: &Place, question: &Question) -> Result<Value> {
    let confdir = &place.paths.confdir;
    let network = |word: &String| match word.as_str() {
        "." => json!({ "name": null, "config": confdir }),
        name => json!({ "name": name, "config": confdir.join(name) }),
    };
    Ok(lines(place, question)?.iter().map(network).collect())
}

fn pid(place: &Place) -> Result<Value> {
    let client = place.connect()?;
    Ok(json!({ "pid": client.pid, "node": client.name, "port": client.port }))
}

fn fsck(place: &Place, out: &mut dyn Write) -> Result<()> {
    let options = &place.options;
    let (findings, outcome) = tinc::findings(&Tool::new("tinmesh", options, &place.paths));
    let usable = outcome.is_ok();
    print(&json!({ "usable": usable, "findings": findings }), out)?;
    if usable { Ok(()) } else { Err(Told.into()) }
}

fn version() -> Value {
    json!({ "version": env!("CARGO_PKG_VERSION"), "protocol": tinc::PROTOCOL, "features": tinc::FEATURES })
}
