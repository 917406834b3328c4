//! Where each field of what C sees lies: a test compares it with the header.

use std::mem::{offset_of, size_of};

use crate::border::{Buffer, Member, Membership, Options};
use crate::callbacks::Machine;
use crate::status::Status;

macro_rules! layout {
    ($($name:literal $type:ident: $($field:ident),*;)*) => {
        /// Of each type and each field: how C calls it, and its size or offset.
        pub const LAYOUT: &[(&str, usize)] = &[$(
            (concat!("sizeof(", $name, ")"), size_of::<$type>()),
            $((concat!("offsetof(", $name, ", ", stringify!($field), ")"), offset_of!($type, $field)),)*
        )*];
    };
}

layout! {
    "ombak_machine" Machine: context, apply, read, snapshot, restore, free;
    "ombak_member" Member: id, address, votes;
    "ombak_options" Options: group, id, members, members_length, dir, snapshot_every, lease_ms, lease_drift_ppm;
    "ombak_buffer" Buffer: bytes, length;
    "ombak_membership" Membership: voters, voters_length, learners, learners_length, witnesses, witnesses_length, accept;
    "ombak_status" Status: slot, id, leader, is_ready, has_failed, voters_length, voters, witnesses_length, witnesses, learners_length, is_changing, votes;
}
