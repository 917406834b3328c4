//! A record of the engine, a row's change, a queue's or one of bytes, any bytes. The properties are in `ombak_aries::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_aries::fuzz::logged(input));
