//! Measures how long meshes of 100, 300 and 1,000 nodes take to converge, and how much memory; prints a Markdown table.
//!
//! `converge [COUNT…]`: other sizes. All nodes start at once; each
//! dials one or two others, so that it has three connections on average, as AutoConnect wants. Memory is the peak of this
//! process so far.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::time::Instant;

use tinmesh_sim::{Dice, Host, Settings, World, minutes};

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![100, 300, 1000] } else { sizes };
    println!("| nodes | connections | virtual time | wall clock | messages | peak memory |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for size in sizes {
        measure(size);
    }
}

fn measure(size: usize) {
    let start = Instant::now();
    let world = World::with(size as u64, Settings::LARGE);
    world.expect_refusals();
    let mut dice = Dice::new(size as u64);
    let mut nodes: Vec<Host<'_>> = Vec::with_capacity(size);
    for number in 0..size {
        let mut node = world.node(&format!("node{number:04}")).configure(|config| config.subnets.truncate(1));
        // The last dozens, so that none gets more calls at once than it answers.
        for _ in 0..(1 + number % 2).min(number) {
            let back = 1 + dice.below(number.min(60) as u64);
            node = node.knows(nodes[number - usize::try_from(back).unwrap_or(1)]);
        }
        nodes.push(node);
    }
    world.settle(minutes(20));
    let connections = nodes.iter().map(|node| node.neighbours().len()).sum::<usize>() / 2;
    println!(
        "| {size} | {connections} | {:.1} s | {:.1} s | {} | {} MiB |",
        world.now().as_micros() as f64 / 1e6,
        start.elapsed().as_secs_f64(),
        world.work().meta_sent,
        peak_memory() / 1024,
    );
}

/// Peak memory of this process in KiB; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
