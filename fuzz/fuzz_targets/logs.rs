//! See `fuzz::logs::logs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::logs::logs(bytes));
