//! See `fuzz::tunnel::line`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::tunnel::line(bytes));
