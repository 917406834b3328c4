//! The rules. Each looks at one [`View`] and the writes of its key.

mod found;
mod gone;
mod kept;
mod latest;
mod listed;
mod values;

use ombak_base::Tick;

use super::{Broken, Found, History, Listed, Op, OpKind, Outcome, REPLICAS};

/// What one read, or one listing of one key, saw; and every write of that key that may have had a part in it.
struct View<'a> {
    history: &'a History,
    key: usize,
    began: Tick,
    ended: Tick,
    /// On the word of how many replicas.
    heard: u32,
    found: Option<&'a Found>,
    /// Those that began before the read ended.
    writes: Vec<&'a Op>,
}

/// What is wrong with a read, if something is.
type Check = fn(&View) -> Result<(), String>;

const RULES: &[(&str, Check)] = &[
    ("nothing is invented", values::check_invented),
    ("nothing is doubled", values::check_doubled),
    ("no false not-found", found::check),
    ("nothing is lost", kept::check),
    ("nothing comes back", gone::check),
    ("nothing older is shown", latest::check),
];

/// Every answer to a read must obey all rules. A deletion that found nothing to delete is such an answer.
pub(super) fn check_read(history: &History, read: &Op, writes: &[&Op]) -> Result<(), Broken> {
    let found = match &read.outcome {
        Outcome::Found(found) => Some(found),
        Outcome::NotFound => None,
        _ => return Ok(()),
    };
    let view = View::new(history, read, found, writes);
    RULES.iter().try_for_each(|(rule, check)| {
        check(&view).map_err(|why| Broken { rule, detail: format!("{why}, in {read:?}") })
    })
}

/// A listing is a read of every key of its bucket, at one replica.
pub(super) fn check_listing<'a>(
    history: &History,
    listing: &Listed,
    writes: impl Fn(usize) -> &'a [&'a Op],
) -> Result<(), Broken> {
    let broken = |rule, why| Broken { rule, detail: format!("{why}, in {listing:?}") };
    listed::check_names(listing).map_err(|why| broken("nothing is invented in a listing", why))?;
    listing.of.iter().try_for_each(|key| {
        let view = View::of_listing(history, listing, *key, writes(*key));
        let is_listed = listing.keys.contains(&Some(*key));
        listed::check_key(&view, is_listed)
            .map_err(|why| broken("a listing shows what is there", why))
    })
}

impl<'a> View<'a> {
    fn new(
        history: &'a History,
        read: &Op,
        found: Option<&'a Found>,
        writes: &[&'a Op],
    ) -> View<'a> {
        let ended = read.ended.unwrap_or(Tick(u64::MAX));
        let writes = writes.iter().copied().filter(|write| write.began <= ended).collect();
        let (key, began, heard) = (read.key, read.began, read.reads);
        View { history, key, began, ended, heard, found, writes }
    }

    fn of_listing(
        history: &'a History,
        listing: &Listed,
        key: usize,
        writes: &[&'a Op],
    ) -> View<'a> {
        let (began, ended) = (listing.began, listing.ended);
        let writes = writes.iter().copied().filter(|write| write.began <= ended).collect();
        View { history, key, began, ended, heard: 1, found: None, writes }
    }

    /// Acknowledged puts of which this read must have met what became of them.
    fn met_puts(&self) -> impl Iterator<Item = (&'a Op, u64)> {
        let met = self.writes.iter().copied().filter(|write| self.meets(write));
        met.filter_map(|write| Some((write, write.value()?)))
    }

    /// Whether `write` was acknowledged by so many replicas before this read began that one of them was heard.
    fn meets(&self, write: &Op) -> bool {
        write.is_acknowledged_before(self.began)
            && self.history.holds(write) + self.heard > REPLICAS
    }

    fn deletes(&self) -> impl Iterator<Item = &'a Op> {
        self.writes.iter().copied().filter(|write| write.is_delete())
    }

    /// Whether a replica that had lost its disk may have been heard.
    fn is_stale(&self) -> bool {
        self.history.is_stale(self.key, self.began, self.ended)
    }

    /// Whether `write` is certain to have removed `put` for this read: it was acknowledged, this read met it, and the
    /// read that it rests on had met `put`, which was not written again meanwhile.
    fn is_removed_by(&self, put: &Op, write: &Op) -> bool {
        self.meets(write)
            && self.history.knows(write, put)
            && !self.may_be_written_again(put)
            && !self.may_come_back(put)
    }

    /// Whether `put` may have been deleted, and the deletion reaped everywhere, while a disk that holds it still, or again,
    /// was away.
    fn may_come_back(&self, put: &Op) -> bool {
        let lost = self.history.lost.get(&self.key);
        lost.is_some_and(|lost| lost.is_older && put.began <= lost.until)
            && self.deletes().any(|delete| delete.over() >= put.began)
    }

    /// Whether `put` may have been replaced by a write that had not seen it, or by itself be one that was replaced so, and
    /// then been written again, as the bucket turned out to keep siblings. It has a name then that no context covers.
    ///
    /// Only a put does so that was under way while the bucket was being turned, and began before everyone knew of that.
    fn may_be_written_again(&self, put: &Op) -> bool {
        let Some(turning) = self.history.turning_from.get(&self.key) else { return false };
        let known = self.history.siblings_from.get(&self.key).copied().unwrap_or(Tick(u64::MAX));
        put.began < known
            && self.writes.iter().any(|by| {
                let by_old_rule = by.value().is_some() && by.began < known && by.over() >= *turning;
                by_old_rule && by.over() >= put.began && !self.history.knows(by, put)
            })
    }
}

impl History {
    /// On how many replicas an acknowledged write is for sure. One that a lost disk may have held is, after the repair,
    /// on the repaired disk and on whichever it was copied from, if there was one.
    fn holds(&self, write: &Op) -> u32 {
        match self.lost.get(&write.key) {
            Some(lost) if write.began <= lost.until && write.holds <= 1 => 0,
            _ => write.holds,
        }
    }

    fn is_stale(&self, key: usize, from: Tick, until: Tick) -> bool {
        self.lost.get(&key).is_some_and(|lost| until >= lost.from && from <= lost.repaired)
    }

    /// Whether its spoilt disk may show what it held before, and count as one that lacks nothing.
    fn is_older(&self, key: usize) -> bool {
        self.lost.get(&key).is_some_and(|lost| lost.is_older)
    }

    /// Whether the read that `write` rests on had met `put`, or what had replaced it, for sure.
    fn knows(&self, write: &Op, put: &Op) -> bool {
        let Some((from, until, heard)) = write.basis() else { return false };
        put.is_acknowledged_before(from)
            && self.holds(put) + heard > REPLICAS
            && !self.is_stale(write.key, from, until)
    }
}

/// A put that may still be there, for all that is certain.
fn may_be_there(view: &View, put: &Op) -> bool {
    matches!(put.kind, OpKind::Put(_))
        && !view.writes.iter().any(|write| view.is_removed_by(put, write))
}
