//! A disk that loses a write, or puts it elsewhere, and says that it is done.

use std::io::{self, IoSlice};
use std::sync::Arc;

use ombak_base::{Disk, DiskFile, OpenMode};
use ombak_sim::{Rng, SimDisk, SimFile};
use parking_lot::Mutex;

/// What becomes of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It goes nowhere.
    Lost,
    /// It goes over something else of the same file.
    Misdirected,
    /// It goes where it belongs, and over something else as well.
    Stray,
}

/// What is planned, and what has happened.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    /// Writes to files whose path is this, or begins with it if it ends with a slash...
    path: String,
    /// ... of which so many are still to come before the one.
    left: u64,
    fault: Option<Fault>,
    rng: Option<Rng>,
    /// The power goes before anything is written to this file after it.
    last_before: Option<String>,
    has_struck: bool,
    /// Something was written up to here: beyond it nothing can be hit.
    reach: u64,
    /// Files that were begun since: their first block was written.
    begun: u64,
}

/// What happens to the write at hand.
enum Strike {
    Nothing,
    Cut,
    Goes { here: bool, elsewhere: Option<u64> },
}

impl Faults {
    /// The `n`-th write from now to `path` fares so.
    pub fn plan(&self, path: &str, n: u64, fault: Fault, seed: u64) {
        let mut plan = self.0.lock();
        *plan = Plan {
            path: path.to_string(),
            left: n,
            fault: Some(fault),
            rng: Some(Rng::new(seed)),
            ..Plan::default()
        };
    }

    /// After it, the power goes before anything is written to this file.
    pub fn cut_before(&self, path: &str) {
        self.0.lock().last_before = Some(path.to_string());
    }

    pub fn has_struck(&self) -> bool {
        self.0.lock().has_struck
    }

    /// Files of which the first block was written since.
    pub fn begun(&self) -> u64 {
        self.0.lock().begun
    }

    /// No more of it.
    pub fn call_off(&self) {
        *self.0.lock() = Plan::default();
    }

    /// A write of `bytes` to a file of `len`.
    fn strike(&self, path: &str, offset: u64, bytes: u64, len: u64) -> Strike {
        let mut plan = self.0.lock();
        if plan.has_struck {
            let is_meant = plan.path.ends_with('/') && path.starts_with(&plan.path);
            plan.begun += u64::from(is_meant && offset == 0);
            let cut = plan.last_before.as_deref() == Some(path);
            return if cut { Strike::Cut } else { Strike::Nothing };
        }
        let is_meant =
            path == plan.path || (plan.path.ends_with('/') && path.starts_with(&plan.path));
        let Some(fault) = plan.fault.filter(|_| is_meant) else { return Strike::Nothing };
        plan.left -= 1;
        plan.reach = plan.reach.max(offset + bytes);
        let reach = plan.reach.min(len).max(1);
        if plan.left > 0 {
            return Strike::Nothing;
        }
        plan.has_struck = true;
        let elsewhere = plan.rng.as_mut().map(|rng| rng.below(reach) / 4096 * 4096);
        let elsewhere = elsewhere.filter(|at| fault != Fault::Lost && *at != offset);
        Strike::Goes { here: fault == Fault::Stray, elsewhere }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Faulty {
    disk: SimDisk,
    faults: Faults,
}

pub struct FaultyFile {
    file: SimFile,
    path: String,
    disk: Faulty,
}

impl Faulty {
    pub fn new(disk: SimDisk, faults: Faults) -> Faulty {
        Faulty { disk, faults }
    }
}

impl Disk for Faulty {
    type File = FaultyFile;

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<FaultyFile> {
        let file = self.disk.open(path, mode)?;
        Ok(FaultyFile { file, path: path.to_string(), disk: self.clone() })
    }
    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.link(from, to)
    }
    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.disk.sync_dir(path)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }
}

impl FaultyFile {
    /// The file's length is the file system's, and becomes what it should.
    fn grow(&self, len: u64) -> io::Result<()> {
        if self.file.len()? < len { self.file.set_len(len) } else { Ok(()) }
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let len = self.file.len()?;
        let bytes: u64 = buffers.iter().map(|buffer| buffer.len() as u64).sum();
        let (here, elsewhere) = match self.disk.faults.strike(&self.path, offset, bytes, len) {
            Strike::Nothing => return self.file.write_at(buffers, offset),
            Strike::Cut => {
                self.disk.disk.cut_power(1);
                return self.disk.disk.sync_dir("");
            }
            Strike::Goes { here, elsewhere } => (here, elsewhere),
        };
        let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.to_vec()).collect();
        if here {
            self.file.write_at(buffers, offset)?;
        }
        self.grow(offset + bytes.len() as u64)?;
        let Some(at) = elsewhere else { return Ok(()) };
        // The operator's handle: what is open here may be particular about memory.
        let stray = self.disk.disk.open(&self.path, OpenMode::Cached)?;
        let fits = bytes.len().min((len - at) as usize);
        stray.write_at(&[IoSlice::new(&bytes[..fits])], at)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
