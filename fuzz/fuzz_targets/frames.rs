//! See `fuzz::mesh::frames`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::mesh::frames(bytes));
