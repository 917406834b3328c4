//! Two-phase commit, as stateright's example has it.

#![allow(unused_imports, dead_code)]

include!(concat!(env!("OUT_DIR"), "/2pc.rs"));

pub fn model(managers: usize) -> impl crate::Theirs {
    TwoPhaseSys { rms: 0..managers }
}
