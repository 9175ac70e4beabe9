//! tinmesh: daemon and command line.
#![forbid(unsafe_code)]
#![allow(dead_code, unreachable_pub)]

mod config;
mod files;
mod paths;

fn main() {}
