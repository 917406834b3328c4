//! The first words of a peer, any bytes. It decodes or is refused; a property test of the crate runs the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = ombak_cluster::Hello::decode(input);
});
