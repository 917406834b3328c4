//! Sessions of a log: any snapshot and any answer is refused, or read and written again as it was; and whatever commands come, a
//! snapshot is the state.
#![no_main]

use bytes::Bytes;
use ombak_base::DecodeError;
use ombak_paxos::log::sessions::{Answer, Limits, Sessions};
use ombak_paxos::log::{Slot, StateMachine};

/// Everything that was ever said.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Journal(Vec<u8>);

impl StateMachine for Journal {
    fn apply(&mut self, _: Slot, command: &Bytes) -> Bytes {
        self.0.extend_from_slice(command);
        command.clone()
    }

    fn read(&self, _: &Bytes) -> Bytes {
        self.snapshot()
    }

    fn snapshot(&self) -> Bytes {
        Bytes::from(self.0.clone())
    }

    fn restore(snapshot: Bytes) -> Result<Journal, DecodeError> {
        Ok(Journal(snapshot.to_vec()))
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let bytes = Bytes::copy_from_slice(rest);
    match which % 3 {
        0 => {
            if let Ok(sessions) = Sessions::<Journal>::restore(bytes.clone()) {
                assert_eq!(sessions.snapshot(), bytes);
            }
        }
        1 => {
            if let Ok(answer) = Answer::decode(bytes.clone()) {
                assert_eq!(answer.encode(), bytes);
            }
        }
        _ => {
            let limits = Limits { sessions: 2, window: 3, answer_bytes: 64 };
            let mut sessions = Sessions::new(Journal::default(), limits);
            // The first byte of each piece is its length.
            let mut rest = bytes;
            while !rest.is_empty() {
                let length = usize::from(rest.split_to(1)[0]).min(rest.len());
                sessions.apply(Slot(1), &rest.split_to(length));
                assert!(sessions.len() <= 2);
                assert_eq!(Sessions::restore(sessions.snapshot()).as_ref(), Ok(&sessions));
            }
        }
    }
});
