//! Copies that no backup needs any more.

use super::{Archive, ArchiveError, Lsn};

impl Archive {
    /// Removes the copies of all segments of which every record is below `lsn`, and answers how many that were. Nothing else does:
    /// without it an archive only grows.
    ///
    /// `lsn` is the smallest [`Backup::redo_from`](crate::Backup::redo_from) of the backups that are to be kept. From those this
    /// archive restores as before, to any record. An older one can still be brought to its own end, by the log that it has with
    /// it, but no further ([`ArchiveError::Missing`]).
    ///
    /// The oldest go first, so if it is interrupted, what is left has no gap: call it again. If the header of a copy can't be
    /// read, nothing is removed ([`ArchiveError::Foreign`]). A log that was opened anew copies segments once more that it still
    /// has, also those that were removed here: they go the next time.
    ///
    /// ```
    /// # use ombak_aries::{Archive, Engine, EngineOptions, Lsn, OsDisk};
    /// # let directory = tempfile::tempdir()?;
    /// # let disk = OsDisk::open(directory.path())?;
    /// let options = EngineOptions { archived: true, ..EngineOptions::default() };
    /// let (engine, _) = Engine::open(disk.clone(), "db", options)?;
    /// let archive = Archive::new(disk.clone(), "archive");
    /// let monday = engine.backup(&disk, "monday")?;
    /// // ... a week passes, with a call of `engine.archive(&archive)` now and then ...
    /// let next_monday = engine.backup(&disk, "next monday")?;
    /// archive.remove_below(next_monday.redo_from)?; // and `monday`, too, can go
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_below(&self, lsn: Lsn) -> Result<u64, ArchiveError> {
        let mut copies = Vec::new();
        self.copies(&mut copies)?;
        copies.sort_by_key(|copy| copy.header.sequence);
        // Where a segment ends, the next one tells: the last one that begins at `lsn` or before may have it.
        let first_kept = copies.iter().rfind(|copy| copy.header.first_lsn <= lsn);
        let Some(first_kept) = first_kept.map(|copy| copy.header.sequence) else { return Ok(0) };
        let mut removed = 0;
        for copy in copies.iter().take_while(|copy| copy.header.sequence < first_kept) {
            self.place.remove(&copy.path).map_err(ArchiveError::io(&copy.path))?;
            removed += 1;
        }
        if removed > 0 {
            self.place.sync_dir(&self.dir).map_err(ArchiveError::io(&self.dir))?;
        }
        Ok(removed)
    }
}
