//! See `fuzz::proofs::signed`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proofs::signed(bytes));
