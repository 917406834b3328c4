//! A list of keys, any bytes. A section is believed only if its records fill its stretch.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_store::log::fuzz::keys(input));
