//! See `fuzz::proofs::record`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proofs::record(bytes));
