//! Any bytes as the answers on a client's connection. The properties are in `ombak_client::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_client::fuzz::answers(input));
