//! Fuzz target `router_answers`; its body is in `fuzz/src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tinmesh_fuzz::run("router_answers", data));
