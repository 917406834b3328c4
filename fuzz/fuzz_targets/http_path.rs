//! A path, any bytes. The properties are in `ombak_server::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_server::fuzz::http_path(input));
