//! See `fuzz::relay::request`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::relay::request(bytes));
