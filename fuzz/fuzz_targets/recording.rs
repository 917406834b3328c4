//! A recording, any bytes; and one whose checksums fit, with any content. It is read or refused.
#![no_main]

use bytes::Bytes;
use ombak_tape::Recording;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = Recording::read(Bytes::copy_from_slice(input));
    let mut file = Recording::new("n", Vec::new()).to_bytes();
    file.truncate(file.len() - 8);
    for content in [input, &[]] {
        file.extend_from_slice(&(content.len() as u32).to_le_bytes());
        file.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
        file.extend_from_slice(content);
    }
    let _ = Recording::read(file.into());
});
