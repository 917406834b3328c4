//! The list of a file's keys, any bytes. It is believed only if it fills the file.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_store::log::fuzz::keys(input));
