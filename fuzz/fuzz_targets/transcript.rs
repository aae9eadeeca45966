//! See `fuzz::proofs::transcript`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proofs::transcript(bytes));
