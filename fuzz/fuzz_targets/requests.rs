//! See `fuzz::wire::requests`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::wire::requests(bytes));
