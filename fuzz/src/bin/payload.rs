#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| comptoir_tests::fuzz::payload(bytes));
