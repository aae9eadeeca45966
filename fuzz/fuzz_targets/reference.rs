//! See `fuzz::proofs::reference`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proofs::reference(bytes));
