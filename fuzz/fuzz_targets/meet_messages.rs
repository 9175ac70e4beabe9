//! Fuzz target `meet_messages`; its body is in `fuzz/src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tinmesh_fuzz::run("meet_messages", data));
