//! What who leads does: takes the batch, writes it, and wakes those whom it serves.

use super::turns::Outcome;
use super::*;

impl<D: Disk> Inner<D> {
    /// Writes the batch and wakes whom that serves. The end is let go of meanwhile.
    pub fn lead(&self, end: &mut MutexGuard<'_, End>) -> Result<(), LogError> {
        let mut batch = end.take();
        let low_water = end.low_water();
        let (written, room) = MutexGuard::unlocked(end, || {
            let mut files = self.files.lock();
            let written = files.write(&mut batch, low_water);
            (written, self.room(&files, low_water))
        });
        let rings = end.turns.end(match &written {
            Ok(()) => Outcome::Durable,
            Err(LogError::Full) => Outcome::Full,
            Err(_) => Outcome::Failed,
        });
        match &written {
            Ok(()) => {
                self.durable.store(batch.next_lsn().0 - 1, Ordering::Release);
                batch.clear();
                end.spare.get_or_insert(batch);
                end.set_room(room);
            }
            Err(LogError::Full) => end.stuck.push_front(batch),
            Err(_) => {}
        }
        let wakers = end.wakers.take(Lsn(self.durable.load(Ordering::Acquire)), written.is_err());
        self.written.notify_all();
        MutexGuard::unlocked(end, || {
            rings.one.into_iter().for_each(|bell| self.served[bell].ring_for_one());
            rings.all.into_iter().flatten().for_each(|bell| self.served[bell].ring());
            wakers.into_iter().for_each(Waker::wake);
        });
        written
    }

    /// Sees again what fits.
    pub fn look(&self) {
        let mut end = self.end.lock();
        if end.turns.is_leading() {
            return; // Whoever leads will.
        }
        let low_water = end.low_water();
        // Nobody's appending waits for somebody's reading: who runs out of room looks again.
        let Some(mut files) = self.files.try_lock() else { return };
        files.reclaim(low_water);
        let room = self.room(&files, low_water);
        end.set_room(room);
    }

    /// What fits into the files as they are; notes what is in use.
    pub fn room(&self, files: &Segments<D>, low_water: Lsn) -> Room {
        self.used.store(files.used_bytes(low_water), Ordering::Relaxed);
        Room::of(files)
    }
}

impl End {
    /// Nothing below is needed, and nothing that is appended from now on is below: this stays true however late it is used.
    /// (Without the bound, a log that nobody needs anything of would give away what was appended in between.)
    pub fn low_water(&self) -> Lsn {
        self.streams.low_water().min(self.batch.next_lsn())
    }

    /// The batch to be written next; what is appended from now on goes to another.
    fn take(&mut self) -> Batch {
        let stuck = self.stuck.pop_front();
        self.turns.begin(stuck.is_none());
        if let Some(stuck) = stuck {
            return stuck;
        }
        self.room.take(self.batch.padded());
        let next = self.batch.next_lsn();
        let mut other = self.spare.take().unwrap_or_else(|| self.batch.like());
        other.restart(next);
        std::mem::replace(&mut self.batch, other)
    }

    /// What the files say, less what is on its way to them.
    pub fn set_room(&mut self, room: Room) {
        self.room = room;
        for padded in self.stuck.iter().map(Batch::padded).collect::<Vec<_>>() {
            self.room.take(padded);
        }
    }
}
