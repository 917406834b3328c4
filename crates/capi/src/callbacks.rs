//! What C is called for: the state behind a context.

#![expect(unsafe_code, reason = "calling C is what this file is for")]

use std::ffi::{c_int, c_void};

use ombak_embed::Bytes;

/// `ombak_out`: where a callback writes.
#[derive(Default)]
pub struct Out(pub(crate) Vec<u8>);

type Apply = unsafe extern "C" fn(*mut c_void, u64, *const u8, usize, *mut Out);
type Read = unsafe extern "C" fn(*mut c_void, *const u8, usize, *mut Out);
type Snapshot = unsafe extern "C" fn(*mut c_void, *mut Out);
type Restore = unsafe extern "C" fn(*mut c_void, *const u8, usize) -> c_int;
type Free = unsafe extern "C" fn(*mut c_void);

/// `ombak_machine`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Machine {
    pub(crate) context: *mut c_void,
    pub(crate) apply: Option<Apply>,
    pub(crate) read: Option<Read>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) restore: Option<Restore>,
    pub(crate) free: Option<Free>,
}

/// The one state of a group. It must not outlive [`Release::release`].
pub struct Held {
    context: *mut c_void,
    apply: Apply,
    read: Read,
    snapshot: Snapshot,
    restore: Restore,
}

// SAFETY: the header says that the callbacks are called from another thread than the one that starts the group. Nothing that C has
// given is looked at here but by calling them.
unsafe impl Send for Held {}

/// How the context is given back.
pub struct Release {
    context: *mut c_void,
    free: Option<Free>,
}

impl Machine {
    /// `None`: a callback is missing.
    pub(crate) fn split(self) -> Option<(Held, Release)> {
        let Machine { context, free, .. } = self;
        let (apply, read) = (self.apply?, self.read?);
        let (snapshot, restore) = (self.snapshot?, self.restore?);
        Some((Held { context, apply, read, snapshot, restore }, Release { context, free }))
    }
}

impl Held {
    pub(crate) fn apply(&mut self, slot: u64, command: &[u8]) -> Bytes {
        let mut out = Out::default();
        // SAFETY: the header's contract for `apply`; the command and the answer live until it returns.
        unsafe { (self.apply)(self.context, slot, command.as_ptr(), command.len(), &mut out) };
        Bytes::from(out.0)
    }

    pub(crate) fn read(&self, query: &[u8]) -> Bytes {
        let mut out = Out::default();
        // SAFETY: the header's contract for `read`; the query and the answer live until it returns.
        unsafe { (self.read)(self.context, query.as_ptr(), query.len(), &mut out) };
        Bytes::from(out.0)
    }

    pub(crate) fn snapshot(&self) -> Bytes {
        let mut out = Out::default();
        // SAFETY: the header's contract for `snapshot`; the answer lives until it returns.
        unsafe { (self.snapshot)(self.context, &mut out) };
        Bytes::from(out.0)
    }

    /// Whether the state is what the snapshot says now.
    pub(crate) fn restore(&mut self, snapshot: &[u8]) -> bool {
        // SAFETY: the header's contract for `restore`; the snapshot lives until it returns.
        unsafe { (self.restore)(self.context, snapshot.as_ptr(), snapshot.len()) == 0 }
    }
}

impl Release {
    /// Gives the context back, once no other callback will be called any more.
    pub(crate) fn release(self) {
        if let Some(free) = self.free {
            // SAFETY: the header's contract for `free`: once, and last.
            unsafe { free(self.context) };
        }
    }
}
