//! See `fuzz::attest::evidence`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::attest::evidence(bytes));
