//! The file that says whose directory it is, any bytes. The properties are in `ombak_embed::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_embed::fuzz::identity(input));
