//! A record that the commit log holds for the store, any bytes. The properties are in `ombak_store::log::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_store::log::fuzz::redo(input));
