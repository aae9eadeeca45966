//! See `fuzz::papers::papers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::papers::papers(bytes));
