//! Fuzz target `signed_files`; its body is in `fuzz/src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tinmesh_fuzz::run("signed_files", data));
