//! The file `firsts`, any bytes. The properties are in `ombak_store::log::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_store::log::fuzz::manifest(input));
