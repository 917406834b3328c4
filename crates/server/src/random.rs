//! Numbers that no other node and no other start has.

use std::fs::File;
use std::io::Read;

use crate::StartError;

/// 64 bits from the system's generator.
pub(crate) fn random_u64() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    let mut source = File::open("/dev/urandom").map_err(StartError::Random)?;
    source.read_exact(&mut bytes).map_err(StartError::Random)?;
    Ok(u64::from_le_bytes(bytes))
}
