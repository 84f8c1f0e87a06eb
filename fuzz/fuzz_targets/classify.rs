#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| relink_fuzz::classify(bytes));
