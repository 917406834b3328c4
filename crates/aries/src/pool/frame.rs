//! A frame, which holds a page, and what is had of it while it is latched.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::NONE;
use crate::log::Lsn;
use crate::page::Page;

/// How warm a page can get.
const HEAT_MAX: u8 = 3;

/// One page's place in memory. In this order all that is looked at first lies in one cache line: what is known of the page without its
/// latch, the latch, and the page's header.
#[repr(C, align(64))]
pub struct Frame {
    /// The page's number, to be read without the latch.
    pub page: AtomicU32,
    /// Being written: whoever takes the frame now would read an old page.
    pub writing: AtomicBool,
    pub heat: AtomicU8,
    /// The first change that is not in the page file, or a little before; 0: all are. (Paper: RecLSN.)
    pub rec_lsn: AtomicU64,
    pub latch: RwLock<Page>,
}

impl Frame {
    /// One that holds no page.
    pub fn vacant() -> Frame {
        Frame {
            page: AtomicU32::new(NONE.0),
            writing: AtomicBool::new(false),
            heat: AtomicU8::new(0),
            rec_lsn: AtomicU64::new(0),
            latch: RwLock::new(Page::blank(NONE)),
        }
    }

    pub fn touch(&self) {
        let heat = self.heat.load(Ordering::Relaxed);
        if heat < HEAT_MAX {
            self.heat.store(heat + 1, Ordering::Relaxed);
        }
    }

    /// Whether it is cold. If not, it is less warm now.
    pub fn cools(&self) -> bool {
        let heat = self.heat.load(Ordering::Relaxed);
        if heat > 0 {
            self.heat.store(heat - 1, Ordering::Relaxed);
        }
        heat == 0
    }
}

/// A page, latched for reading. Others may read it as well.
pub struct PageRef<'a> {
    pub(super) page: RwLockReadGuard<'a, Page>,
}

/// A page, latched for writing. Only what is logged may change it.
pub struct PageMut<'a> {
    pub(super) page: RwLockWriteGuard<'a, Page>,
    pub(super) frame: &'a Frame,
}

impl std::ops::Deref for PageRef<'_> {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.page
    }
}

impl std::ops::Deref for PageMut<'_> {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.page
    }
}

impl PageMut<'_> {
    /// The page has a change from `lsn` on that the file has not. Before the change is logged, or while nobody
    /// else can append: a checkpoint in between must not miss it.
    pub(crate) fn mark_dirty(&self, lsn: Lsn) {
        let _ = self.frame.rec_lsn.compare_exchange(0, lsn.0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// To be changed as a record says that was just logged.
    pub(crate) fn page_mut(&mut self) -> &mut Page {
        &mut self.page
    }
}
