//! A restart that is tried in memory, and a walk through every structure as it is then.

use ombak_base::Disk;

use super::overlay::Overlay;
use super::verify::{Severity, Verification};
use super::{Inspection, Record};
use crate::catalog::Walked;
use crate::engine::{Engine, EngineOptions, Restart};
use crate::error::Error;
use crate::log::Lsn;
use crate::page::ManagerId;
use crate::physical::PHYSICAL;
use crate::queue::QUEUE;
use crate::tree::TREE;
use crate::wal::STREAM;

const RESTART: &str = "(a restart, tried in memory)";

impl<D: Disk> Inspection<D> {
    /// Opens the engine on a disk whose writes stay in memory, and walks its trees and queues. Takes memory for the pages that
    /// the restart changes, and for a segment.
    pub(super) fn try_restart(&self, report: &mut Verification) {
        if let Some(manager) = self.unknown_manager() {
            let what =
                format!("not tried: the log has records of {manager:?}, which are not known here");
            return report.find(Severity::Harmless, (RESTART, 0), what, "nothing");
        }
        match self.restarted() {
            Ok((engine, _prepared)) => self.walk(&engine, report),
            Err(error) => {
                let lost = "what can't be reached then";
                report.find(Severity::Damage, place_of(&error), format!("{RESTART} {error}"), lost);
            }
        }
    }

    fn walk(&self, engine: &Engine, report: &mut Verification) {
        let (mut trees, mut queues) = (0, 0);
        for Walked { name, manager, found } in engine.check_structures() {
            let Err(error) = found else {
                trees += u64::from(manager == Some(TREE));
                queues += u64::from(manager == Some(QUEUE));
                continue;
            };
            let (what, lost) = match manager {
                Some(QUEUE) => ("queue", "items on this page and behind it"),
                Some(TREE) => ("tree", "rows on this page and below it"),
                _ => ("structure", "what is in it"),
            };
            let what = match name {
                Some(name) => format!("{what} {name:?}: {error}"),
                None => format!("the catalog: {error}"),
            };
            report.find(Severity::Damage, place_of(&error), what, lost);
        }
        (report.trees, report.queues) = (Some(trees), Some(queues));
    }

    fn unknown_manager(&self) -> Option<ManagerId> {
        let mut unknown = None;
        let scanned = self.log.scan(Lsn(0), |entry| {
            let record = Record::decode(entry.payload).ok().filter(|_| entry.stream == STREAM);
            let manager = record.and_then(|record| record.change()).map(|change| change.manager);
            unknown = manager.filter(|manager| ![PHYSICAL, TREE, QUEUE].contains(manager));
            if unknown.is_some() { Err(()) } else { Ok(()) }
        });
        scanned.err().and(unknown)
    }

    fn restarted(&self) -> Result<(Engine, Restart), Error> {
        let identity = self.pages()?.identity.unwrap_or_default();
        let options =
            EngineOptions { identity, log: self.log.options(), ..EngineOptions::default() };
        Engine::open(Overlay::new(self.disk.clone()), &self.dir, options)
    }
}

/// Where an error was found.
fn place_of(error: &Error) -> (&str, u64) {
    match error {
        Error::Damaged { file, offset, .. }
        | Error::LogDamaged { file, offset, .. }
        | Error::Foreign { file, offset, .. }
        | Error::Malformed { file, offset, .. }
        | Error::Newer { file, offset, .. }
        | Error::Corrupt { file, offset, .. } => (file, *offset),
        _ => (RESTART, 0),
    }
}
