//! See `fuzz::mesh::batches`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::mesh::batches(bytes));
