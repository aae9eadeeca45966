//! See `fuzz::proofs::message`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proofs::message(bytes));
