//! A node of a tree, a page of a queue, the area of the copies or page 0, any bytes. The properties are in `ombak_aries::fuzz`, where tests run them too.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ombak_aries::fuzz::stored(input));
