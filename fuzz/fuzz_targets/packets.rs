//! See `fuzz::mesh::packets`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::mesh::packets(bytes));
