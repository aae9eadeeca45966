//! See `fuzz::mesh::handshakes`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::mesh::handshakes(bytes));
