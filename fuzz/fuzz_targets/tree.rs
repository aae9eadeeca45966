//! See `fuzz::proofs::tree`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proofs::tree(bytes));
