#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| callback::fuzzing::retry_after(data));
