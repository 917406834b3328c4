//! A key of a vnode's store, any bytes. It decodes or is refused; a property test of the crate runs the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = ombak_kv::key_of(&bytes::Bytes::copy_from_slice(input));
});
