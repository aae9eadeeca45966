//! See `fuzz::proofs::entry`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proofs::entry(bytes));
