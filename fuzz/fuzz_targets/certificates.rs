//! See `fuzz::attest::certificates`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::attest::certificates(bytes));
