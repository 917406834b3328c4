//! What the log thread does for others between two writes: rare things that only the owner of the writer can do, such as
//! beginning a snapshot.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use crate::queue::Bell;

/// Errands that may wait; one more is dropped unrun.
const ERRANDS_MAX: usize = 64;

type Errand<W> = Box<dyn FnOnce(&mut W) + Send>;

/// Sends the log thread of one node on errands.
pub struct Errands<W> {
    list: SyncSender<Errand<W>>,
    bell: Arc<OnceLock<Arc<Bell>>>,
}

impl<W> Clone for Errands<W> {
    fn clone(&self) -> Self {
        Errands { list: self.list.clone(), bell: self.bell.clone() }
    }
}

/// The log thread's end of [`Errands`].
pub struct ErrandList<W> {
    list: Receiver<Errand<W>>,
    bell: Arc<OnceLock<Arc<Bell>>>,
}

/// The two ends.
pub fn errands<W>() -> (Errands<W>, ErrandList<W>) {
    let (to_list, list) = sync_channel(ERRANDS_MAX);
    let bell = Arc::new(OnceLock::new());
    (Errands { list: to_list, bell: bell.clone() }, ErrandList { list, bell })
}

impl<W> Errands<W> {
    /// The log thread runs this soon, and tidies afterwards. It holds up every commit meanwhile, so it must be short.
    /// Dropped unrun if the thread has ended, or too many wait.
    pub fn send(&self, errand: impl FnOnce(&mut W) + Send + 'static) {
        if self.list.try_send(Box::new(errand)).is_ok()
            && let Some(bell) = self.bell.get()
        {
            bell.ring();
        }
    }
}

impl<W> ErrandList<W> {
    /// From now on the thread that sleeps on this bell is woken.
    pub(crate) fn wake_by(&self, bell: &Arc<Bell>) {
        self.bell.get_or_init(|| bell.clone());
    }

    /// The next errand.
    pub(crate) fn next(&self) -> Option<Errand<W>> {
        self.list.try_recv().ok()
    }
}
