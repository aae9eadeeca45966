//! See `fuzz::relay::opening`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::relay::opening(bytes));
