//! See `fuzz::names::names`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::names::names(bytes));
