//! What C calls: pointers become values here, and values pointers. The contract of each function stands in `include/ombak.h`.

#![expect(unsafe_code, reason = "the border to C")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::forget;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null_mut};
use std::time::{Duration, Instant};

use ombak_embed::{Bytes, Group, Lease, NodeId, Slot};

use crate::callbacks::{Machine, Out, Release};
use crate::code::Code;
use crate::state::State;
use crate::status::{NOBODY, Status};

/// `ombak_member`.
#[repr(C)]
pub struct Member {
    pub(crate) id: u32,
    pub(crate) address: *const c_char,
    pub(crate) votes: c_int,
}

/// `ombak_options`.
#[repr(C)]
pub struct Options {
    pub(crate) group: *const c_char,
    pub(crate) id: u32,
    pub(crate) members: *const Member,
    pub(crate) members_length: usize,
    pub(crate) dir: *const c_char,
    pub(crate) snapshot_every: u64,
    pub(crate) lease_ms: u32,
    pub(crate) lease_drift_ppm: u32,
}

/// `ombak_membership`.
#[repr(C)]
pub struct Membership {
    pub(crate) voters: *const u32,
    pub(crate) voters_length: usize,
    pub(crate) learners: *const u32,
    pub(crate) learners_length: usize,
    pub(crate) witnesses: *const u32,
    pub(crate) witnesses_length: usize,
    pub(crate) accept: u32,
}

/// `OMBAK_WITNESS`: what `ombak_member` votes as. 0 does not, and anything else does.
const WITNESS: c_int = 2;

/// `ombak_buffer`.
#[repr(C)]
pub struct Buffer {
    pub(crate) bytes: *mut u8,
    pub(crate) length: usize,
}

/// `ombak_group`.
pub struct Handle {
    group: Group<State>,
    release: Release,
}

/// Calls may come from several threads at the same time.
const _: () = {
    const fn is_shared<T: Sync>() {}
    is_shared::<Group<State>>()
};

/// `ombak_code_text`.
#[unsafe(no_mangle)]
pub extern "C" fn ombak_code_text(code: Code) -> *const c_char {
    code.text().as_ptr()
}

/// `ombak_write`.
///
/// # Safety
///
/// `out` is what the callback was given that this is called from; `bytes` are `length`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_write(out: *mut Out, bytes: *const c_void, length: usize) {
    // SAFETY: `length` bytes, says the caller.
    let bytes = unsafe { slice(bytes.cast::<u8>(), length) };
    // SAFETY: it is alive and nobody else's while its callback runs, says the caller.
    if let (Some(out), Some(bytes)) = (unsafe { out.as_mut() }, bytes) {
        out.0.extend_from_slice(bytes);
    }
}

/// `ombak_start`.
///
/// # Safety
///
/// All pointers are what the header says, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_start(
    options: *const Options,
    machine: *const Machine,
    group: *mut *mut Handle,
    why: *mut c_char,
    why_bytes: usize,
) -> Code {
    guarded(|| {
        // SAFETY: a text of this size, says the caller.
        let told = |text: &str| unsafe { put_text(why, why_bytes, text) };
        told("");
        // SAFETY: NULL, or what the header says.
        let options = unsafe { options.as_ref() };
        // SAFETY: the same.
        let machine = unsafe { machine.as_ref() };
        let (Some(options), Some(machine), false) = (options, machine, group.is_null()) else {
            told("options, machine and group must not be NULL");
            return Code::INVALID;
        };
        let Some((held, release)) = machine.split() else {
            told("apply, read, snapshot and restore must not be NULL");
            return Code::INVALID;
        };
        // SAFETY: what the header says of options.
        let options = match unsafe { options.read() } {
            Ok(options) => options,
            Err(wrong) => {
                told(&wrong);
                return Code::INVALID;
            }
        };
        match Group::start(options, State::Held(held)) {
            Ok(started) => {
                let handle = Box::into_raw(Box::new(Handle { group: started, release }));
                // SAFETY: it is not NULL, and a place for a pointer, says the caller.
                unsafe { group.write(handle) };
                Code::OK
            }
            Err(error) => {
                told(&error.to_string());
                Code::NOT_STARTED
            }
        }
    })
}

impl Options {
    /// # Safety
    ///
    /// All pointers are what the header says, or NULL.
    unsafe fn read(&self) -> Result<ombak_embed::Options, String> {
        // SAFETY: a text or NULL, says the caller.
        let group = unsafe { text(self.group) }.ok_or("the name of the group is no text")?;
        // SAFETY: so many members, says the caller.
        let members = unsafe { slice(self.members, self.members_length) };
        let mut all = Vec::new();
        let (mut voters, mut witnesses) = (Vec::new(), Vec::new());
        for member in members.ok_or("members must not be NULL")? {
            // SAFETY: a text or NULL, says the caller.
            let address = unsafe { text(member.address) }.unwrap_or_default();
            let address: SocketAddr = address.parse().map_err(|_| {
                format!(
                    "the address of member {} is {address:?}, and not like 127.0.0.1:7001",
                    member.id
                )
            })?;
            all.push((NodeId(member.id), address));
            voters.extend((member.votes != 0).then_some(NodeId(member.id)));
            witnesses.extend((member.votes == WITNESS).then_some(NodeId(member.id)));
        }
        if !all.iter().any(|(id, _)| id.0 == self.id) || self.id == NOBODY {
            return Err(format!("member {} is not among the members", self.id));
        }
        let mut options = ombak_embed::Options::new(group, NodeId(self.id), &all);
        options.voters = voters.into_iter().collect();
        options.witnesses = witnesses.into_iter().collect();
        options.lease = self.lease()?;
        if !self.dir.is_null() {
            // SAFETY: a text, says the caller.
            let dir = unsafe { text(self.dir) }.ok_or("the directory is no UTF-8")?;
            options.dir = Some(dir.into());
        }
        if self.snapshot_every > 0 {
            options.snapshot_every = usize::try_from(self.snapshot_every).unwrap_or(usize::MAX);
        }
        Ok(options)
    }

    fn lease(&self) -> Result<Option<Lease>, String> {
        match (self.lease_ms, self.lease_drift_ppm) {
            (0, 0) => Ok(None),
            (0, _) => Err("lease_drift_ppm says something of a lease, and lease_ms is 0".into()),
            (ms, drift_ppm) => Ok(Some(Lease { ms: ms.into(), drift_ppm })),
        }
    }
}

impl Membership {
    /// `None`: a pointer is NULL that must not be.
    ///
    /// # Safety
    ///
    /// All pointers are what the header says, or NULL.
    unsafe fn read(&self) -> Option<ombak_embed::Membership> {
        // SAFETY: so many ids or NULL, says the caller.
        let voters = unsafe { slice(self.voters, self.voters_length) }?;
        // SAFETY: the same.
        let learners = unsafe { slice(self.learners, self.learners_length) }?;
        // SAFETY: the same.
        let witnesses = unsafe { slice(self.witnesses, self.witnesses_length) }?;
        let all = |ids: &[u32]| ids.iter().copied().map(NodeId).collect();
        let (voters, learners, witnesses) = (all(voters), all(learners), all(witnesses));
        let accept = usize::try_from(self.accept).ok().filter(|accept| *accept > 0);
        Some(ombak_embed::Membership { voters, learners, witnesses, accept })
    }
}

/// `ombak_stop`.
///
/// # Safety
///
/// `group` is NULL, or came from `ombak_start` and is used by nobody else; `why` has `why_bytes`, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_stop(
    group: *mut Handle,
    why: *mut c_char,
    why_bytes: usize,
) -> Code {
    guarded(|| {
        // SAFETY: a text of this size, says the caller.
        let told = |text: &str| unsafe { put_text(why, why_bytes, text) };
        told("");
        let Some(group) = NonNull::new(group) else { return Code::OK };
        // SAFETY: `ombak_start` made it by `Box::into_raw`, and nobody else has it, says the caller.
        let Handle { group, release } = *unsafe { Box::from_raw(group.as_ptr()) };
        // After this every thread of the group has ended, and with them the state that they held.
        let ended = group.stop();
        release.release();
        match ended {
            Ok(()) => Code::OK,
            Err(error) => {
                told(&error.to_string());
                Code::ENDED
            }
        }
    })
}

/// `ombak_buffer_free`.
///
/// # Safety
///
/// `buffer` is NULL, or all zeros, or as a function of this library has left it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_buffer_free(buffer: *mut Buffer) {
    // SAFETY: as the caller says.
    let Some(buffer) = (unsafe { buffer.as_mut() }) else { return };
    let (bytes, length) = (std::mem::replace(&mut buffer.bytes, null_mut()), buffer.length);
    buffer.length = 0;
    if !bytes.is_null() {
        // SAFETY: `put_buffer` made it from a box of this length, and it was not freed: then it would be NULL.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(bytes, length)) });
    }
}

/// `ombak_propose`.
///
/// # Safety
///
/// All pointers are what the header says, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_propose(
    group: *const Handle,
    command: *const c_void,
    length: usize,
    within_ms: u32,
    answer: *mut Buffer,
) -> Code {
    let propose = |group: &Group<State>, bytes| group.propose(bytes, ms(within_ms));
    // SAFETY: as the caller says.
    unsafe { ask(group, (command, length), answer, propose) }
}

/// `ombak_read`.
///
/// # Safety
///
/// All pointers are what the header says, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_read(
    group: *const Handle,
    query: *const c_void,
    length: usize,
    within_ms: u32,
    answer: *mut Buffer,
) -> Code {
    let read = |group: &Group<State>, bytes| group.read(bytes, ms(within_ms));
    // SAFETY: as the caller says.
    unsafe { ask(group, (query, length), answer, read) }
}

/// `ombak_read_at`.
///
/// # Safety
///
/// All pointers are what the header says, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_read_at(
    group: *const Handle,
    slot: u64,
    query: *const c_void,
    length: usize,
    within_ms: u32,
    answer: *mut Buffer,
) -> Code {
    let read = |group: &Group<State>, bytes| group.read_at(Slot(slot), bytes, ms(within_ms));
    // SAFETY: as the caller says.
    unsafe { ask(group, (query, length), answer, read) }
}

/// Bytes for the group, and bytes from it.
///
/// # Safety
///
/// All pointers are what the header says, or NULL.
unsafe fn ask<E: Into<Code>>(
    group: *const Handle,
    (bytes, length): (*const c_void, usize),
    answer: *mut Buffer,
    ask: impl FnOnce(&Group<State>, Bytes) -> Result<Bytes, E>,
) -> Code {
    guarded(|| {
        // SAFETY: so many bytes or NULL, says the caller.
        let bytes = unsafe { slice(bytes.cast::<u8>(), length) };
        // SAFETY: a group or NULL, says the caller.
        let (Some(group), Some(bytes)) = (unsafe { group_of(group) }, bytes) else {
            return Code::INVALID;
        };
        match ask(group, Bytes::copy_from_slice(bytes)) {
            // SAFETY: a buffer or NULL, says the caller.
            Ok(bytes) => unsafe { put_buffer(answer, &bytes) },
            Err(error) => error.into(),
        }
    })
}

/// `ombak_change`.
///
/// # Safety
///
/// All pointers are what the header says, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_change(
    group: *const Handle,
    voters: *const u32,
    voters_length: usize,
    within_ms: u32,
) -> Code {
    guarded(|| {
        // SAFETY: so many ids or NULL, says the caller.
        let voters = unsafe { slice(voters, voters_length) };
        // SAFETY: a group or NULL, says the caller.
        let (Some(group), Some(voters)) = (unsafe { group_of(group) }, voters) else {
            return Code::INVALID;
        };
        let voters = voters.iter().copied().map(NodeId);
        group.change(voters, ms(within_ms)).map_or_else(Code::from, |()| Code::OK)
    })
}

/// `ombak_change_to`.
///
/// # Safety
///
/// All pointers are what the header says, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_change_to(
    group: *const Handle,
    to: *const Membership,
    within_ms: u32,
) -> Code {
    guarded(|| {
        // SAFETY: a membership or NULL, says the caller.
        let to = unsafe { to.as_ref() };
        // SAFETY: what the header says of one.
        let to = to.and_then(|to| unsafe { to.read() });
        // SAFETY: a group or NULL, says the caller.
        let (Some(group), Some(to)) = (unsafe { group_of(group) }, to) else {
            return Code::INVALID;
        };
        group.change_to(to, ms(within_ms)).map_or_else(Code::from, |()| Code::OK)
    })
}

/// `ombak_lead`.
///
/// # Safety
///
/// The group is what the header says, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_lead(group: *const Handle, member: u32, within_ms: u32) -> Code {
    guarded(|| {
        // SAFETY: a group or NULL, says the caller.
        let Some(group) = (unsafe { group_of(group) }) else { return Code::INVALID };
        let led = group.lead(NodeId(member), ms(within_ms));
        led.map_or_else(Code::from, |()| Code::OK)
    })
}

/// `ombak_status_of`.
///
/// # Safety
///
/// All pointers are what the header says, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_status_of(group: *const Handle, status: *mut Status) -> Code {
    guarded(|| {
        // SAFETY: a group or NULL, says the caller.
        let (Some(group), Some(place)) = (unsafe { group_of(group) }, NonNull::new(status)) else {
            return Code::INVALID;
        };
        let Ok(now) = group.status() else { return Code::ENDED };
        // SAFETY: a place for a status, says the caller.
        unsafe { place.write(Status::from(&now)) };
        Code::OK
    })
}

/// `ombak_watch`.
///
/// # Safety
///
/// All pointers are what the header says, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ombak_watch(
    group: *const Handle,
    status: *mut Status,
    within_ms: u32,
) -> Code {
    guarded(|| {
        // SAFETY: a status or NULL, says the caller.
        let status = unsafe { status.as_mut() };
        // SAFETY: a group or NULL, says the caller.
        let (Some(group), Some(status)) = (unsafe { group_of(group) }, status) else {
            return Code::INVALID;
        };
        match next_other(group, status, ms(within_ms)) {
            Ok(next) => {
                *status = next;
                Code::OK
            }
            Err(code) => code,
        }
    })
}

/// A status that differs from the one that is known.
fn next_other(group: &Group<State>, known: &Status, within: Duration) -> Result<Status, Code> {
    let deadline = Instant::now() + within;
    let mut watch = group.watch().map_err(|_| Code::ENDED)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match watch.next(left) {
            Ok(Some(status)) if Status::from(&status).differs(known) => return Ok((&status).into()),
            Ok(Some(_)) => {}
            Ok(None) => return Err(Code::LATE),
            Err(_) => return Err(Code::ENDED),
        }
    }
}

/// Everything that can panic goes through here: no panic crosses the border.
fn guarded(body: impl FnOnce() -> Code) -> Code {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        forget(panic); // To drop it could panic.
        Code::PANICKED
    })
}

/// `None`: NULL.
///
/// # Safety
///
/// It came from `ombak_start` and was not given to `ombak_stop`, or it is NULL.
unsafe fn group_of<'a>(group: *const Handle) -> Option<&'a Group<State>> {
    // SAFETY: as the caller says.
    unsafe { group.as_ref() }.map(|handle| &handle.group)
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

/// `None`: NULL, and not empty.
///
/// # Safety
///
/// `length` of them are there and stay as they are for as long as the answer is used, or it is NULL.
unsafe fn slice<'a, T>(first: *const T, length: usize) -> Option<&'a [T]> {
    match (NonNull::new(first.cast_mut()), length) {
        (_, 0) => Some(&[]),
        (None, _) => None,
        // SAFETY: as the caller says.
        (Some(first), _) => Some(unsafe { std::slice::from_raw_parts(first.as_ptr(), length) }),
    }
}

/// `None`: NULL, or no UTF-8.
///
/// # Safety
///
/// It ends with a 0 and stays as it is for as long as the answer is used, or it is NULL.
unsafe fn text<'a>(first: *const c_char) -> Option<&'a str> {
    let first = NonNull::new(first.cast_mut())?;
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(first.as_ptr()) }.to_str().ok()
}

/// Writes as much as there is room for, and a 0.
///
/// # Safety
///
/// There are `bytes` at `place`, or it is NULL.
unsafe fn put_text(place: *mut c_char, bytes: usize, text: &str) {
    if place.is_null() || bytes == 0 {
        return;
    }
    let length = text.floor_char_boundary(bytes - 1);
    // SAFETY: no more than there is room for, and the two are not the same memory.
    unsafe { place.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), length) };
    // SAFETY: `length` is less than `bytes`.
    let end = unsafe { place.add(length) };
    // SAFETY: the same.
    unsafe { end.write(0) };
}

/// Gives bytes to the caller.
///
/// # Safety
///
/// There is a buffer at `place`, or it is NULL.
unsafe fn put_buffer(place: *mut Buffer, bytes: &[u8]) -> Code {
    if let Some(place) = NonNull::new(place) {
        let length = bytes.len();
        let bytes = match length {
            0 => null_mut(),
            _ => Box::into_raw(Box::<[u8]>::from(bytes)).cast::<u8>(),
        };
        // SAFETY: as the caller says.
        unsafe { place.write(Buffer { bytes, length }) };
    }
    Code::OK
}
