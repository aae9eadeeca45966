//! See `fuzz::relay::host`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::relay::host(bytes));
