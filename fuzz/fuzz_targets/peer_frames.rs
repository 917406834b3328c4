//! A stream from a peer, in pieces, any bytes. The properties are in `ombak_runtime::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_runtime::fuzz::frames(input));
