//! A stream of any bytes, in pieces. The properties are in `ombak_wire::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_wire::fuzz::frames(input));
