//! The directory tree, and which changes to it a crash can take back.

use std::collections::{BTreeMap, BTreeSet};

/// Which file a name stands for.
pub type InodeId = u64;

/// One change of names, which a crash keeps or takes back as a whole.
#[derive(Clone, Debug)]
struct Change {
    /// The name that goes.
    from: Option<String>,
    /// The name that comes, and what it stands for.
    to: Option<(String, InodeId)>,
}

impl Change {
    fn name(&self) -> &str {
        let to = self.to.as_ref().map(|(name, _)| name);
        to.or(self.from.as_ref()).map_or("", String::as_str)
    }

    fn apply(&self, names: &mut BTreeMap<String, InodeId>) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        if let Some((to, inode)) = &self.to {
            names.insert(to.clone(), *inode);
        }
    }

    fn directories(&self) -> impl Iterator<Item = &str> {
        let to = self.to.as_ref().map(|(name, _)| name);
        self.from.iter().chain(to).map(|name| parent(name))
    }
}

/// Names as the process sees them, as they are synced, and the changes between, oldest first.
///
/// Directories never go away: an empty one is harmless, and one that recovery must expect to find.
#[derive(Clone, Default, Debug)]
pub struct Names {
    now: BTreeMap<String, InodeId>,
    synced: BTreeMap<String, InodeId>,
    pending: Vec<Change>,
    directories: BTreeSet<String>,
}

impl Names {
    pub fn find(&self, path: &str) -> Option<InodeId> {
        self.now.get(path).copied()
    }

    /// Every file that the process can name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, InodeId)> {
        self.now.iter().map(|(name, &inode)| (name.as_str(), inode))
    }

    /// A name for every file that has one, had one, or may have one again after a crash.
    pub fn known(&self) -> BTreeMap<InodeId, &str> {
        self.every().collect()
    }

    /// Whether [`known`](Names::known) has the file.
    pub fn knows(&self, inode: InodeId) -> bool {
        self.every().any(|(there, _)| there == inode)
    }

    fn every(&self) -> impl Iterator<Item = (InodeId, &str)> {
        let pending = self.pending.iter().filter_map(|change| change.to.as_ref());
        let pending = pending.map(|(name, inode)| (*inode, name.as_str()));
        let synced = self.synced.iter().map(|(name, &inode)| (inode, name.as_str()));
        let now = self.now.iter().map(|(name, &inode)| (inode, name.as_str()));
        pending.chain(synced).chain(now)
    }

    pub fn create(&mut self, path: &str, inode: InodeId) {
        let mut directory = parent(path);
        while !directory.is_empty() && self.directories.insert(directory.to_string()) {
            directory = parent(directory);
        }
        self.change(Change { from: None, to: Some((path.to_string(), inode)) });
    }

    pub fn remove(&mut self, path: &str) {
        self.change(Change { from: Some(path.to_string()), to: None });
    }

    pub fn rename(&mut self, from: &str, to: &str, inode: InodeId) {
        self.change(Change { from: Some(from.to_string()), to: Some((to.to_string(), inode)) });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.pending.push(change);
    }

    pub fn list(&self, directory: &str) -> Vec<String> {
        let all = self.now.keys().chain(&self.directories);
        let inside = all.filter(|path| parent(path) == directory);
        let names: BTreeSet<&str> = inside.map(|path| last_part(path)).collect();
        names.into_iter().map(String::from).collect()
    }

    /// Makes the changes in a directory durable, and with them the earlier ones in directories that a
    /// rename has tied to it: order between tied directories is kept, as a journal keeps it. Whether there were any.
    pub fn sync_dir(&mut self, directory: &str) -> bool {
        let mut tied = BTreeSet::from([directory.to_string()]);
        let mut chosen = vec![false; self.pending.len()];
        for (change, chosen) in self.pending.iter().zip(&mut chosen).rev() {
            *chosen = change.directories().any(|each| tied.contains(each));
            if *chosen {
                tied.extend(change.directories().map(String::from));
            }
        }
        let before = self.pending.len();
        let mut chosen = chosen.into_iter();
        let synced = &mut self.synced;
        self.pending.retain(|change| {
            let applies = chosen.next().unwrap_or(false);
            if applies {
                change.apply(synced);
            }
            !applies
        });
        self.pending.len() < before
    }

    /// The name that each pending change is about, oldest first.
    pub fn unsynced(&self) -> impl Iterator<Item = &str> {
        self.pending.iter().map(Change::name)
    }

    /// Keeps of each directory's pending changes those before the first that is not kept.
    pub fn crash(&mut self, kept: &[bool]) {
        let mut stopped = BTreeSet::new();
        for (change, kept) in std::mem::take(&mut self.pending).iter().zip(kept) {
            if *kept && !change.directories().any(|each| stopped.contains(each)) {
                change.apply(&mut self.synced);
            } else {
                stopped.extend(change.directories().map(String::from));
            }
        }
        self.now = self.synced.clone();
    }
}

/// The directory that a path lies in; `""` is the root.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn last_part(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
