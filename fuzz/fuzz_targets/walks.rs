//! See `fuzz::proofs::walks`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proofs::walks(bytes));
