//! Write-ahead logging in layers, each of which can be used without the next.
//!
//! ```text
//!   Tree, Queue, yours    structures on pages                      ResourceManager
//!   ─────────────────────────────────────────────────────────────────────────────
//!   Engine, Transaction   begin, commit, rollback, savepoints, prepare; restart
//!   ─────────────────────────────────────────────────────────────────────────────
//!   BufferPool            pages in bounded memory, latches, write-back
//!   ─────────────────────────────────────────────────────────────────────────────
//!   SharedLog             a commit log for threads: group commit
//!   CommitLog             a commit log for one owner
//!   ─────────────────────────────────────────────────────────────────────────────
//!   base::Disk            files: OsDisk, or a simulated one
//! ```
//!
//! ```
//! use ombak_aries::{Engine, EngineOptions, OsDisk};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let (engine, _) = Engine::open(OsDisk::open(directory.path())?, "db", EngineOptions::default())?;
//! let (accounts, mail) = (engine.tree("accounts")?, engine.queue("mail")?);
//!
//! let mut txn = engine.begin();
//! accounts.put(&mut txn, b"alice", b"90")?;
//! accounts.put(&mut txn, b"bob", b"110")?;
//! mail.enqueue(&mut txn, b"alice paid bob")?; // two structures that know nothing of each other
//! txn.commit()?; // all of it survives from here on, or none of it
//!
//! let mut txn = engine.begin();
//! accounts.delete(&mut txn, b"bob")?;
//! txn.rollback()?;
//! assert_eq!(accounts.get_latest(&engine, b"bob")?.as_deref(), Some(&b"110"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # ARIES in a few words
//!
//! Pages are changed in memory and written when it suits. So at any moment the disk may *lack* changes of transactions that
//! have committed (no-force), and may *have* changes of some that have not (steal). Both are put right from the log, and
//! for that a few rules are enough. They are those of Mohan et al., *ARIES* (TODS 1992), and so are the names.
//!
//! 1. **Every change is a log record, and every page knows the last one that is in it**: its LSN. A record is *redone* if
//!    and only if its LSN is above its page's. So redoing is harmless, however often (`engine/restart.rs`).
//! 2. **The write-ahead rule**: before a page is written, the log is durable up to the page's LSN (`pool/writing.rs`, one place).
//!    Before a commit is acknowledged, it is durable up to the commit (`txn.rs`).
//! 3. **Redo speaks of pages, undo of meaning.** To redo is to bring *this* page to where it was: records name slots and
//!    bytes. To undo is to take back what a transaction *meant*, although others have moved its rows to other pages
//!    since: a row is found again by its key (`tree.rs`).
//! 4. **What is taken back is logged too**, as a *compensation record* (CLR) that is never taken back itself and says what
//!    comes next. So a crash in the middle of taking back goes on where it was (`txn.rs`).
//! 5. **History is repeated**: a restart redoes *everything*, losers' changes as well, and only then takes the losers back,
//!    by the very code of a rollback (`engine/restart.rs`).
//! 6. **A split stays, whoever caused it**: a *nested top action* ends with a record that leads undo around it
//!    (`scope.rs`).
//! 7. **Checkpoints are fuzzy**: they write down which transactions run and which pages are dirty, and stop nobody
//!    (`engine/checkpoint.rs`).
//!
//! One rule is this crate's own: a change is logged first and then *done by the redo function*. What a restart runs
//! has run before, every time.
//!
//! To see it at work on a database of your own: `ombak wal recover --dry-run`, or [`inspect`], which reads a stopped database
//! and says what each pass would do with each record, and why.
//!
//! # Isolation
//!
//! Snapshot isolation, first updater wins: see [`Transaction`]. Deleted rows and before-images are kept as long as somebody
//! may want them, in memory only; a restart needs neither.
//!
//! # What a commit log is
//!
//! A program changes things in memory and wants the changes to survive a power cut. Writing each of them to
//! where it belongs would be slow (many places, many waits for the disk) and dangerous (half of a change on
//! the disk is worse than none). So it first appends a *record*, "this is going to be so", to one file, waits
//! until the disk has it, and only then tells anyone. The real places are written later, in any order, at
//! leisure. After a crash the records are read again and done again. That is all of it:
//!
//! ```text
//! append  append  append   sync            append   sync
//!   │       │       │       │                │       │
//!   └───────┴───────┴──► one batch ──► disk  └──► batch ──► disk      tells: durable up to 4
//!  lsn 1   lsn 2   lsn 3                    lsn 4
//! ```
//!
//! Waiting is the dear part: 40 µs to some milliseconds, however little is written. So whatever was appended
//! while the disk was busy goes out together, in one write and one sync: *group commit*. With 64 writers
//! waiting, each pays a 64th.
//!
//! ```
//! use ombak_aries::{CommitLog, Options, OsDisk, StreamId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! const ACCOUNTS: StreamId = StreamId(1);
//!
//! let disk = OsDisk::open(directory)?;
//! let (mut log, _) = CommitLog::open(disk.clone(), "wal", Options::default(), |_, _, _| {})?;
//! log.append(ACCOUNTS, &[b"alice -10, ", b"bob +10"])?;
//! log.sync()?; // from here on it survives
//! drop(log);
//!
//! let mut found = Vec::new();
//! let (mut log, recovery) = CommitLog::open(disk, "wal", Options::default(), |stream, lsn, record| {
//!     found.push((stream, lsn, record));
//! })?;
//! assert_eq!(found[0].2, "alice -10, bob +10");
//! assert!(recovery.damaged.is_empty());
//!
//! // Once the accounts themselves are safe elsewhere, the log need not keep them.
//! log.set_mark(ACCOUNTS, recovery.end);
//! # Ok(())
//! # }
//! ```
//!
//! # Words
//!
//! - **LSN** ([`Lsn`]): a record's number, counted from 1. It only grows, through restarts and although the
//!   files are used again and again. A page or a file that is written behind the log remembers the LSN up to
//!   which it holds everything; a replayed record at or below it is already there.
//! - **Stream** ([`StreamId`]): the log is shared, because one sync for all is what makes it fast. A stream is
//!   one user's records among the others'.
//! - **Low-water mark** ([`CommitLog::set_mark`]): "my stream needs nothing below". What lies below the marks of
//!   all streams is needed by nobody.
//! - **Segment**: the log is cut into files of equal size. One that lies below all marks is *recycled*: it gets a
//!   new header and is overwritten. A file whose every block has been written before costs the file system
//!   nothing when it is written again; one that grows costs an entry in the file system's own log, with every
//!   sync. That is most of the difference between 45 and 150 µs.
//! - **Archive** ([`Archive`]): copies of segments that are full, kept elsewhere. With it, and a backup of the pages
//!   ([`Engine::backup`]), a database that was lost comes back as it was at any record since.
//! - **Batch**: what one sync writes. It begins at a block of 4 KiB and is padded to one, so that no write ever
//!   touches a block that holds something durable: what a power cut in the middle of a write can spoil was not
//!   acknowledged.
//!
//! # Why a failed sync poisons
//!
//! When a sync fails, the kernel may already have marked the pages as clean and forgotten them. A second
//! sync then succeeds, and nothing was written; it was PostgreSQL that found out, in 2018, after twenty years. There
//! is no way to ask which of the writes made it. So after the first failure every call answers
//! [`LogError::Poisoned`]; to go on is to open the log anew, which reads what the disk really has, and writes the
//! last batch again before it believes it.
//!
//! # How torn is told from damaged
//!
//! Both look alike: a checksum does not match. But a batch is only written when everything before it is
//! durable. So
//!
//! - a batch that is not whole with **nothing valid behind it** is the one that was being written: a *torn tail*.
//!   Nobody was told that it is durable. Its first records, as far as they are whole, are kept, the rest is cut;
//! - with **anything valid behind it**, a later batch or the header of a later segment, it had been durable, and
//!   the disk has spoilt it: *damage*. [`Recovery::damaged`] says where and which LSNs are lost, and everything
//!   that can be read is replayed nevertheless. What is lost can be fetched from a replica, if one knows that
//!   it is.
//!
//! One case cannot be told: damage to the very last batch looks torn. And one is refused rather than guessed: a
//! block at the end that the disk cannot *read* ([`LogError::Io`]).
//!
//! # Why nothing comes back from the dead
//!
//! Recycled files are full of old batches, and behind a torn tail may lie more of what was torn. What protects
//! from reading them as new is what the checksums cover besides the bytes: a batch's covers the segment's
//! sequence number and its own offset, a record's covers its LSN and the log's *incarnation*, which each opening
//! raises and makes durable before it appends. A batch whose second half is left over from an earlier life of
//! the same batch, at the same place, is torn, not whole.
//!
//! The bytes themselves are described in `log/format.rs`, those of the engine's records in `txn/record.rs`, of pages in
//! `page.rs`, `engine/meta.rs`, `tree/node.rs`, `tree/change.rs`, `queue.rs` and `pool/double.rs`.
//!
//! # Sources
//!
//! Gray, *Notes on Data Base Operating Systems* (1978). Mohan, Haderle, Lindsay, Pirahesh, Schwarz, *ARIES: A Transaction
//! Recovery Method Supporting Fine-Granularity Locking and Partial Rollbacks Using Write-Ahead Logging* (TODS 1992). Mohan,
//! Levine, *ARIES/IM* (1992), from which the tree differs: it has no tree latch, but latches from the root down, and splits
//! before it needs to. Sears, Brewer, *Stasis: Flexible Transactional Storage* (2006). Berenson et al., *A Critique of ANSI
//! SQL Isolation Levels* (1995).

mod aligned;
pub mod buffer;
mod catalog;
mod engine;
mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod inspect;
mod log;
mod manager;
mod named;
mod os_disk;
mod page;
mod physical;
mod pool;
mod queue;
mod room;
mod scope;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod survivors;
mod tree;
mod txn;
mod wal;

pub use buffer::{BufferOptions, BufferPool};
pub use engine::{Backup, Engine, EngineOptions, EngineUsage, Restart};
pub use error::Error;
pub use log::archive::{Archive, ArchiveError, Restored};
pub use log::shared::{SharedLog, Tail, Wait};
pub use log::{CommitLog, Damage, LogError, Lsn, Options, Place, Recovery, StreamId};
pub use manager::{Locked, ResourceManager, Undo};
pub use os_disk::{OsDisk, OsFile};
pub use page::{BODY_BYTES, ManagerId, PAGE_BYTES, Page, PageFault, PageId};
pub use pool::{PageMut, PageRef, PoolUsage};
pub use queue::{ITEM_BYTES_MAX, Queue};
pub use tree::{KEY_BYTES_MAX, ROW_BYTES_MAX, Row, Rows, Tree};
pub use txn::locks::Waits;
pub use txn::{LockName, Prepared, Savepoint, Transaction, TxnId};
