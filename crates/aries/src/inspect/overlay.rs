//! A disk whose writes stay in memory: on it a restart can be tried, and nothing happens.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

use ombak_base::{Disk, DiskFile, OpenMode};
use parking_lot::Mutex;

const BLOCK: u64 = 4096;

/// Reads what is below, and keeps what is written.
pub struct Overlay<D: Disk> {
    below: D,
    files: Arc<Mutex<Names<D::File>>>,
}

/// Files that were opened; `None`: removed.
type Names<F> = BTreeMap<String, Option<Arc<Layered<F>>>>;

/// A file, and what was written to it.
pub struct Layered<F> {
    below: Option<F>,
    above: Mutex<Above>,
}

struct Above {
    len: u64,
    /// So much of the file below is still seen.
    below_len: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

/// An open file.
pub struct OverlayFile<F>(Arc<Layered<F>>);

impl<D: Disk> Clone for Overlay<D> {
    fn clone(&self) -> Overlay<D> {
        Overlay { below: self.below.clone(), files: self.files.clone() }
    }
}

impl<D: Disk> Overlay<D> {
    pub fn new(below: D) -> Overlay<D> {
        Overlay { below, files: Arc::default() }
    }
}

impl<D: Disk> Disk for Overlay<D> {
    type File = OverlayFile<D::File>;

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<OverlayFile<D::File>> {
        let mut files = self.files.lock();
        if let Some(Some(file)) = files.get(path) {
            return Ok(OverlayFile(file.clone()));
        }
        let removed = files.contains_key(path);
        let missing = || io::Error::from(ErrorKind::NotFound);
        let below = if removed { Err(missing()) } else { self.below.open(path, OpenMode::Read) };
        let below = match below {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound && mode != OpenMode::Read => None,
            Err(error) => return Err(error),
        };
        let len = below.as_ref().map_or(Ok(0), DiskFile::len)?;
        let above = Mutex::new(Above { len, below_len: len, blocks: BTreeMap::new() });
        let file = Arc::new(Layered { below, above });
        files.insert(path.to_string(), Some(file.clone()));
        Ok(OverlayFile(file))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = self.below.list(path)?;
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        for (file, there) in &*self.files.lock() {
            let Some(name) = file.strip_prefix(&prefix) else { continue };
            let (name, is_file) =
                name.split_once('/').map_or((name, true), |(dir, _)| (dir, false));
            match there {
                None if is_file => names.retain(|other| other != name),
                None => {}
                Some(_) => names.push(name.to_string()),
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.files.lock().insert(path.to_string(), None);
        Ok(())
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn link(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.below.free_bytes()
    }
}

impl<F: DiskFile> Layered<F> {
    /// Fills `buffer` with what was there before anything was written.
    fn read_below(&self, above: &Above, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        buffer.fill(0);
        let there = above.below_len.saturating_sub(offset).min(buffer.len() as u64) as usize;
        match &self.below {
            Some(file) if there > 0 => file.read_at(&mut buffer[..there], offset).map(drop),
            _ => Ok(()),
        }
    }

    fn write(&self, above: &mut Above, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        above.len = above.len.max(offset + bytes.len() as u64);
        while !bytes.is_empty() {
            let (number, from) = (offset / BLOCK, (offset % BLOCK) as usize);
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK as usize - from));
            let mut block = match above.blocks.remove(&number) {
                Some(block) => block,
                None => {
                    let mut block = vec![0; BLOCK as usize];
                    self.read_below(above, &mut block, number * BLOCK)?;
                    block
                }
            };
            block[from..from + now.len()].copy_from_slice(now);
            above.blocks.insert(number, block);
            offset += now.len() as u64;
            bytes = rest;
        }
        Ok(())
    }
}

impl<F: DiskFile> DiskFile for OverlayFile<F> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let above = self.0.above.lock();
        let there = above.len.saturating_sub(offset).min(buffer.len() as u64);
        let buffer = &mut buffer[..there as usize];
        self.0.read_below(&above, buffer, offset)?;
        for (number, block) in above.blocks.range(offset / BLOCK..(offset + there).div_ceil(BLOCK))
        {
            let start = number * BLOCK;
            let (from, to) = (start.max(offset), (start + BLOCK).min(offset + there));
            let kept = &block[(from - start) as usize..(to - start) as usize];
            buffer[(from - offset) as usize..(to - offset) as usize].copy_from_slice(kept);
        }
        Ok(there as usize)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut above = self.0.above.lock();
        let mut at = offset;
        for buffer in buffers {
            self.0.write(&mut above, buffer, at)?;
            at += buffer.len() as u64;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.above.lock().len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut above = self.0.above.lock();
        if len < above.len {
            above.below_len = above.below_len.min(len);
            above.blocks.split_off(&len.div_ceil(BLOCK));
            if let Some(block) = above.blocks.get_mut(&(len / BLOCK)) {
                block[(len % BLOCK) as usize..].fill(0);
            }
        }
        above.len = len;
        Ok(())
    }
}
