//! A batch of the commit log, any bytes. The properties are in `ombak_aries::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_aries::fuzz::batch(input));
