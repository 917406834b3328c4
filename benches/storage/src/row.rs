//! The rows that every engine is given: 16 bytes of key and 84 of value, neither of which compresses.

pub const KEY_BYTES: usize = 16;
pub const VALUE_BYTES: usize = 84;
pub const ROW_BYTES: usize = KEY_BYTES + VALUE_BYTES;

pub type Key = [u8; KEY_BYTES];
pub type Value = [u8; VALUE_BYTES];

/// A key and its value.
#[derive(Clone, Copy)]
pub struct Row {
    pub key: Key,
    pub value: Value,
}

impl Row {
    /// Row number `number`, as it is after `version` changes.
    pub fn new(number: u64, version: u32) -> Row {
        Row { key: key(number), value: value(number, version) }
    }
}

/// The key of row `number`. Different numbers have different keys, scattered over the whole range.
pub fn key(number: u64) -> Key {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&mix(number).to_be_bytes());
    key[8..].copy_from_slice(&mix(!number).to_be_bytes());
    key
}

/// The value of row `number` after `version` changes: both, and then what follows from them.
pub fn value(number: u64, version: u32) -> Value {
    let mut value = [0; VALUE_BYTES];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value[8..12].copy_from_slice(&version.to_le_bytes());
    let mut numbers = Numbers::new(mix(number) ^ u64::from(version));
    for word in value[12..].chunks_exact_mut(8) {
        word.copy_from_slice(&numbers.next().to_le_bytes());
    }
    value
}

/// The number and version that a value carries, if every byte of it is as it was put.
pub fn decode(bytes: &[u8]) -> Option<(u64, u32)> {
    let (number, rest) = bytes.split_first_chunk()?;
    let (version, _) = rest.split_first_chunk()?;
    let (number, version) = (u64::from_le_bytes(*number), u32::from_le_bytes(*version));
    (bytes == value(number, version)).then_some((number, version))
}

/// A sum over every byte, which does not depend on the order of the rows.
pub fn sum(key: &[u8], value: &[u8]) -> u64 {
    words(key).wrapping_mul(3).wrapping_add(words(value))
}

fn words(bytes: &[u8]) -> u64 {
    let chunks = bytes.chunks_exact(8);
    let tail = chunks.remainder().iter().fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
    chunks.fold(tail, |sum, word| sum.wrapping_add(word.try_into().map_or(0, u64::from_le_bytes)))
}

/// Numbers that look random: SplitMix64 (Steele, Lea, Flood, 2014).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, which is small beside 2^64: the bias does not matter.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// SplitMix64's last step, which maps different numbers to different ones.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
