//! The body of a table of who owns which partition, any bytes. The properties are in `ombak_client::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_client::fuzz::rows(input));
