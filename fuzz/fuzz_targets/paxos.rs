//! Whatever members say to each other or have stored: any bytes are refused, or read and written again as they were.
#![no_main]

use bytes::Bytes;
use ombak_base::Wire;
use ombak_paxos::locks::{Command, LockManager, Notice};
use ombak_paxos::log::Write;
use ombak_paxos::register::server::RegisterTelling;
use ombak_paxos::register::{Ask, Cell, Told};
use ombak_paxos::Telling;

fn same<T: Wire>(bytes: &Bytes) {
    if let Ok(read) = T::decode(bytes.clone()) {
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(out, bytes.as_ref());
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let bytes = Bytes::copy_from_slice(rest);
    match which % 9 {
        0 => same::<Telling>(&bytes),
        1 => same::<Cell>(&bytes),
        2 => same::<Ask>(&bytes),
        3 => same::<Told>(&bytes),
        4 => same::<Command>(&bytes),
        5 => same::<Notice>(&bytes),
        6 => same::<LockManager>(&bytes),
        7 => same::<RegisterTelling>(&bytes),
        _ => {
            if let Ok(write) = Write::decode(bytes.clone()) {
                let mut out = Vec::new();
                write.encode(&mut out);
                assert_eq!(out, bytes.as_ref());
            }
        }
    }
});
