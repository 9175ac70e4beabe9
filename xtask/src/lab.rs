//! Namespaces, NATs and machines: those of the end-to-end tests, used as they are.
#![expect(dead_code, reason = "the demonstration needs only a part of the laboratory")]

#[path = "../../crates/tinmesh/tests/e2e/lab/machine.rs"]
pub(crate) mod machine;
#[path = "../../crates/tinmesh/tests/e2e/lab/namespace.rs"]
pub(crate) mod namespace;
#[path = "../../crates/tinmesh/tests/e2e/lab/topology.rs"]
pub(crate) mod topology;
