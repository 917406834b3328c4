//! The file of `ombak start --config`, any bytes. The properties are in `ombak::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak::fuzz::options_toml(input));
