//! See `fuzz::proofs::rows`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proofs::rows(bytes));
