//! See `fuzz::mesh::ways`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::mesh::ways(bytes));
