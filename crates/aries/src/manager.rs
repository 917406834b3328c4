//! Resource managers: the trait by which a structure on pages takes part in transactions and recovery.

use bytes::Bytes;

use crate::error::Error;
use crate::page::{ManagerId, Page, PageId};
use crate::txn::LockName;

pub use crate::scope::Scope as Undo;

/// A structure on pages, as recovery sees it.
///
/// A structure changes a page in one way only: it describes the change in bytes of its own and gives them to
/// [`Undo::apply`] (or [`Transaction::apply`](crate::Transaction::apply)), which logs them and calls
/// [`redo`](ResourceManager::redo). So what a restart runs has run before, every time.
pub trait ResourceManager: Send + Sync + 'static {
    /// The number under which its records stand in the log: for ever the same. From 16 on they are free; those below
    /// are this crate's.
    fn id(&self) -> ManagerId;

    /// Does to the page what `change` says. The page is as it was when the change was logged, so that a change may
    /// speak of slots and offsets (the paper: *physiological*). Deterministic. An error says that bytes and page do not
    /// fit each other, and leaves the engine stopped.
    fn redo(&self, page: &mut Page, change: &[u8]) -> Result<(), &'static str>;

    /// Takes back what `change` did to `page`, by at most one [`Undo::apply`]. Others have changed the structure since;
    /// what was on that page may be on another (the paper: *logical undo*). Only what the transaction's locks protect
    /// is still as it left it.
    fn undo(&self, undo: &mut Undo<'_>, page: PageId, change: &[u8]) -> Result<(), Error>;

    /// The change, for people.
    fn describe(&self, change: &[u8]) -> String;

    /// The lock under which the change was made, if there is one, and what was there before: a restart takes it again for
    /// transactions that are prepared.
    fn lock(&self, _page: PageId, _change: &[u8]) -> Option<Locked> {
        None
    }
}

/// What a change was made under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Locked {
    /// The lock.
    pub name: LockName,
    /// What readers see until the transaction has committed.
    pub before: Option<Bytes>,
}
