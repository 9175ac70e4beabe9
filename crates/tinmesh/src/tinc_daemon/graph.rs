//! The mesh as a drawing for GraphViz (spec: cli B.4).

use crate::control::dump::{EdgeLine, NodeLine, status};

/// How connections are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Each pair of edges as one line.
    Undirected,
    /// Each edge as an arrow.
    Directed,
}

/// The text of the drawing.
pub fn draw(style: Style, nodes: &[NodeLine], edges: &[EdgeLine]) -> String {
    let (word, arrow) = match style {
        Style::Undirected => ("graph", "--"),
        Style::Directed => ("digraph", "->"),
    };
    let mut text = format!("{word} {{\n");
    for node in nodes {
        let name = &node.name;
        let filled = if node.is_me() { ", style = \"filled\"" } else { "" };
        text.push_str(&format!(" \"{name}\" [label = \"{name}\", color = \"{}\"{filled}];\n", colour(node)));
    }
    for edge in edges {
        if style == Style::Directed || edge.from > edge.to {
            let weight = 1.0 + 65536.0 / f64::from(edge.weight);
            let (from, to) = (&edge.from, &edge.to);
            text.push_str(&format!(" \"{from}\" {arrow} \"{to}\" [w = {weight:.6}, weight = {weight:.6}];\n"));
        }
    }
    text.push_str("}\n");
    text
}

fn colour(node: &NodeLine) -> &'static str {
    if node.is_me() {
        "green"
    } else if !node.is_reachable() {
        "red"
    } else if node.via != node.name {
        "orange"
    } else if !node.has(status::VALID_KEY) {
        "black"
    } else if node.min_mtu > 0 {
        "green"
    } else {
        "black"
    }
}
