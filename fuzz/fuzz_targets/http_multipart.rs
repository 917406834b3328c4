//! An HTTP answer with several values, any bytes. The properties are in `ombak::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak::fuzz::multipart(input));
