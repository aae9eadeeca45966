//! See `fuzz::attest::references`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::attest::references(bytes));
