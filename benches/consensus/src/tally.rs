//! What is decided, and the state machine that all contenders apply it to.

use bytes::Bytes;

/// Different commands; after the last comes the first again.
const COMMANDS: usize = 1024;

/// A sequence of commands without an end. To take one allocates nothing.
pub struct Commands {
    all: Vec<Bytes>,
    taken: usize,
}

impl Commands {
    /// Each of so many bytes, at least eight.
    pub fn new(bytes: usize) -> Commands {
        let command = |number: usize| {
            let mut command = vec![number as u8; bytes];
            let mixed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            command[..8].copy_from_slice(&mixed.to_le_bytes());
            Bytes::from(command)
        };
        Commands { all: (0..COMMANDS).map(command).collect(), taken: 0 }
    }

    pub fn take(&mut self, count: usize) -> Vec<Bytes> {
        let from = self.taken;
        self.taken += count;
        (from..from + count).map(|at| self.all[at % COMMANDS].clone()).collect()
    }

    /// What a state machine holds that has applied all that was taken, in order, once.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        (0..self.taken).for_each(|at| tally.apply(&self.all[at % COMMANDS]));
        tally
    }
}

/// How many commands were applied, and a sum that knows their order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tally {
    pub count: u64,
    pub sum: u64,
}

impl Tally {
    /// Looks at the length and the first and the last eight bytes, which is little, and the same for all.
    pub fn apply(&mut self, command: &[u8]) {
        self.count += 1;
        let (first, last) = (command.first_chunk(), command.last_chunk());
        let word = |chunk: Option<&[u8; 8]>| chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk));
        let mixed = word(first) ^ word(last).rotate_left(32) ^ command.len() as u64;
        self.sum = self.sum.rotate_left(5) ^ mixed;
    }
}

#[cfg(test)]
mod tests;
