//! See `fuzz::attest::quotes`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::attest::quotes(bytes));
