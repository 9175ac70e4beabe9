//! Fuzz target `fides_store`; its body is in `fuzz/src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tinmesh_fuzz::run("fides_store", data));
