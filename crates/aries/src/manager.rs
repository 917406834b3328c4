//! Resource managers: the trait by which a structure on pages takes part in transactions and recovery.

use bytes::Bytes;

use crate::error::Error;
use crate::page::{ManagerId, Page, PageId};
use crate::physical::Physical;
use crate::queue::QueueManager;
use crate::tree::TreeManager;
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

    /// Says what is wrong with a page of this manager's, if anything is. Called with each that is read from the disk, once
    /// its checksum was found right; what is refused is [`Error::Corrupt`] for whoever wants the page. So nothing else has
    /// to be afraid of bytes that can't be: all others see pages that were found right, and what was done to them since.
    fn check(&self, _page: &Page) -> Result<(), &'static str> {
        Ok(())
    }

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

/// The resource managers of an engine: this crate's, and the user's own.
#[derive(Default)]
pub(crate) struct Managers(Vec<Box<dyn ResourceManager>>);

impl Managers {
    pub fn with(own: Vec<Box<dyn ResourceManager>>) -> Managers {
        let mut all: Vec<Box<dyn ResourceManager>> =
            vec![Box::new(Physical), Box::new(TreeManager), Box::new(QueueManager)];
        all.extend(own);
        Managers(all)
    }

    /// Their numbers.
    pub fn ids(&self) -> impl Iterator<Item = ManagerId> {
        self.0.iter().map(|manager| manager.id())
    }

    /// The one of this number.
    pub fn find(&self, id: ManagerId) -> Option<&dyn ResourceManager> {
        self.0.iter().find(|manager| manager.id() == id).map(Box::as_ref)
    }

    /// Shows a page that was read to its manager. A page of one that is not known here is nobody's to judge.
    pub fn check(&self, page: &Page) -> Result<(), &'static str> {
        self.find(page.manager()).map_or(Ok(()), |manager| manager.check(page))
    }
}
