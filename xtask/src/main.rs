//! Tasks for people who build tinmesh.

fn main() {}
