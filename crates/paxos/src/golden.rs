//! Bytes of what is said and stored, for tests that name them.

use ombak_base::Wire;

/// Two digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How something is written.
pub fn wire(what: &impl Wire) -> Vec<u8> {
    let mut out = Vec::new();
    what.encode(&mut out);
    out
}
