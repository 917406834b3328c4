//! A disk whose syncs wait until the test lets them go on.

use std::io::{self, IoSlice};
use std::sync::Arc;

use ombak_base::{Disk, DiskFile, OpenMode};
use ombak_sim::SimDisk;
use parking_lot::{Condvar, Mutex};

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    waiting: u32,
}

#[derive(Clone)]
pub struct GateDisk {
    pub disk: SimDisk,
    gate: Arc<Gate>,
}

pub struct GateFile {
    file: <SimDisk as Disk>::File,
    gate: Arc<Gate>,
}

impl GateDisk {
    pub fn new(disk: SimDisk) -> GateDisk {
        GateDisk { disk, gate: Arc::default() }
    }

    pub fn close(&self) {
        self.gate.state.lock().closed = true;
    }

    pub fn open_gate(&self) {
        self.gate.state.lock().closed = false;
        self.gate.changed.notify_all();
    }

    /// Until a sync waits.
    pub fn wait_for_sync(&self) {
        let mut state = self.gate.state.lock();
        while state.waiting == 0 {
            self.gate.changed.wait(&mut state);
        }
    }
}

impl Disk for GateDisk {
    type File = GateFile;

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<GateFile> {
        Ok(GateFile { file: self.disk.open(path, mode)?, gate: self.gate.clone() })
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

impl DiskFile for GateFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.file.write_at(buffers, offset)
    }
    fn sync(&self) -> io::Result<()> {
        let mut state = self.gate.state.lock();
        state.waiting += 1;
        self.gate.changed.notify_all();
        while state.closed {
            self.gate.changed.wait(&mut state);
        }
        state.waiting -= 1;
        drop(state);
        self.file.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
