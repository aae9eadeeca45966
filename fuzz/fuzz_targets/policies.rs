//! See `fuzz::mesh::policies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::mesh::policies(bytes));
