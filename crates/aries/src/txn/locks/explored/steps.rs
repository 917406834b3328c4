//! What a thread does in one step, by the production's decisions.

use super::*;

/// Where a step leads: to states, or to something that must not be.
type Led = Result<Vec<(&'static str, State)>, String>;

impl Group {
    pub fn part(&self, row: usize) -> usize {
        if self.apart { row } else { 0 }
    }

    pub fn step(&self, state: &State, i: usize) -> Led {
        let next = state.clone();
        match state.txns[i].at {
            At::Start => next.begin(i),
            At::Runs => self.go_on(next, i),
            At::Asks { row, again } => self.ask(next, i, row, again),
            At::GoesToWait { row, holder } => self.wait(next, i, row, holder),
            At::Awake { row, .. } => self.wake(next, i, row),
            At::HasLock => self.use_lock(next, i),
            At::Ends => self.do_chore(next, i),
            At::Sleeps { .. } | At::Done => Ok(Vec::new()),
        }
    }

    fn go_on(&self, mut next: State, i: usize) -> Led {
        match self.scripts[i].get(next.txns[i].done) {
            Some(Get(row)) => {
                let seen = self.see(&next, i, *row)?;
                next.txns[i].read.push(seen);
                next.did(i, "reads")
            }
            Some(GetLocked(row) | Put(row)) => self.ask(next, i, *row, false),
            None => self.end(next, i),
        }
    }

    /// [`Locks::acquire`].
    fn ask(&self, mut next: State, i: usize, row: usize, again: bool) -> Led {
        let part = self.part(row);
        if !again && next.taken[part].is_some() {
            return Ok(Vec::new());
        }
        next.taken[part] = None;
        let snapshot = next.txns[i].snapshot;
        let changed = next.changed_after(row, snapshot);
        match next.parts[part].ask(id(i), &name(row), Some(snapshot)) {
            Asked::Taken | Asked::Had if changed => Err("it was changed since".to_string()),
            Asked::Changed if !changed => Err("it was not changed".to_string()),
            Asked::Taken => {
                next.txns[i].held.push(name(row));
                next.txns[i].at = At::HasLock;
                next.one(if again { "has what it waited for" } else { "has the lock" })
            }
            Asked::Had => {
                next.txns[i].at = At::HasLock;
                next.one("had the lock")
            }
            Asked::Changed => {
                self.take_back(&mut next, i);
                next.one(if again { "waited for nothing" } else { "comes too late" })
            }
            Asked::Stays { .. } => {
                self.take_back(&mut next, i);
                next.one(if again { "is told that it stays" } else { "would wait in vain" })
            }
            Asked::Held { holder } => {
                next.taken[part] = Some(i);
                next.txns[i].at = At::GoesToWait { row, holder };
                next.one("has to wait")
            }
        }
    }

    fn wait(&self, mut next: State, i: usize, row: usize, holder: TxnId) -> Led {
        next.taken[self.part(row)] = None;
        let waits = next.waiters.begin(id(i), holder);
        let circle = self.leads(&next, holder, id(i));
        match (waits, circle) {
            (true, true) => Err("closes a circle, and waits".to_string()),
            (false, false) => Err("is refused, and there is no circle".to_string()),
            (true, false) => {
                next.txns[i].at = At::Sleeps { row, holder };
                next.one("waits")
            }
            (false, true) => {
                self.take_back(&mut next, i);
                next.one("would close a circle")
            }
        }
    }

    fn wake(&self, mut next: State, i: usize, row: usize) -> Led {
        let taken = &mut next.taken[self.part(row)];
        if taken.is_some() {
            return Ok(Vec::new());
        }
        *taken = Some(i);
        next.waiters.end(id(i));
        next.txns[i].at = At::Asks { row, again: true };
        next.one("wakes")
    }

    fn use_lock(&self, mut next: State, i: usize) -> Led {
        match self.scripts[i][next.txns[i].done] {
            Put(row) => {
                let before = next.rows[row];
                let writer = Who { id: id(i), committed: 0 };
                let bytes = || Some(Bytes::copy_from_slice(&[before]));
                next.parts[self.part(row)].remember(&writer, &name(row), bytes);
                next.txns[i].changed.push((row, before));
                next.rows[row] = id(i).0 as u8;
                next.did(i, "writes")
            }
            Get(row) | GetLocked(row) => {
                let seen = self.see(&next, i, row)?;
                next.txns[i].read.push(seen);
                next.did(i, "reads what it has locked")
            }
        }
    }

    /// What is seen: what was committed when the transaction began, or its own.
    fn see(&self, state: &State, i: usize, row: usize) -> Result<u8, String> {
        let txn = &state.txns[i];
        let seen = match state.parts[self.part(row)].seen(&name(row), txn.snapshot, Some(id(i))) {
            Seen::Current => state.rows[row],
            Seen::Before(before) => before.map_or(0, |bytes| bytes[0]),
        };
        let own = txn.changed.iter().any(|(changed, _)| *changed == row);
        let must = if own { id(i).0 as u8 } else { state.history[txn.snapshot as usize][row] };
        if seen == must { Ok(seen) } else { Err(format!("sees {seen} instead of {must}")) }
    }

    fn end(&self, next: State, i: usize) -> Led {
        let mut all = vec![("commits", next.clone())];
        self.publish(&mut all[0].1, i);
        if self.takes_back {
            let mut taken_back = next.clone();
            self.take_back(&mut taken_back, i);
            all.push(("is taken back", taken_back));
        }
        if self.fails {
            let mut left = next.clone();
            self.leave_locked(&mut left, i);
            all.push(("is left as it is", left));
        }
        Ok(all)
    }

    /// [`Transaction::publish`](crate::Transaction).
    fn publish(&self, next: &mut State, i: usize) {
        let changed: Changed = std::mem::take(&mut next.txns[i].held).into();
        let at = next.snapshots.publish(&changed);
        let writers = next.parts.iter_mut().flat_map(Names::writers_mut);
        writers.filter(|who| who.id == id(i)).for_each(|who| who.committed = at);
        let mut rows = next.history.last().copied().unwrap_or_default();
        next.txns[i].changed.iter().for_each(|(row, _)| rows[*row] = id(i).0 as u8);
        next.history.push(rows);
        next.txns[i].committed = Some(at);
        let (oldest, forgotten) = next.snapshots.give_back(next.txns[i].snapshot);
        for name in changed.iter() {
            let ring = Chore::Ring { part: self.part(row_of(name)) };
            next.ends(i, [Chore::Unlock { name: name.clone(), oldest }, ring]);
        }
        next.forget(i, forgotten, oldest);
    }

    /// A rollback.
    fn take_back(&self, next: &mut State, i: usize) {
        let changed = std::mem::take(&mut next.txns[i].changed).into_iter().rev();
        next.ends(i, changed.map(|(row, value)| Chore::TakeBack { row, value }));
        for name in std::mem::take(&mut next.txns[i].held) {
            let part = self.part(row_of(&name));
            next.ends(i, [Chore::Release(name), Chore::Ring { part }]);
        }
        next.ends(i, [Chore::Leave]);
    }

    /// A commit that fails: [`Locks::keep`]. Its snapshot is not given back.
    fn leave_locked(&self, next: &mut State, i: usize) {
        next.txns[i].stays = true;
        next.ends(i, []);
        for name in next.txns[i].held.clone() {
            let part = self.part(row_of(&name));
            next.ends(i, [Chore::Keep(name), Chore::Ring { part }]);
        }
    }

    fn do_chore(&self, mut next: State, i: usize) -> Led {
        let Some(chore) = next.txns[i].chores.pop_front() else {
            next.txns[i].at = At::Done;
            return next.one("is done");
        };
        if let Chore::Unlock { name, .. }
        | Chore::Release(name)
        | Chore::Keep(name)
        | Chore::Forget { name, .. } = &chore
            && next.taken[self.part(row_of(name))].is_some()
        {
            return Ok(Vec::new());
        }
        match chore {
            Chore::TakeBack { row, value } => next.rows[row] = value,
            Chore::Unlock { name, oldest } => self.names(&mut next, &name).unlock(&name, oldest),
            Chore::Release(name) => self.names(&mut next, &name).release(id(i), &name),
            Chore::Keep(name) => self.names(&mut next, &name).keep(&name),
            Chore::Forget { name, oldest } => self.names(&mut next, &name).forget(&name, oldest),
            Chore::Ring { part } => self.ring(&mut next, part),
            Chore::Leave => {
                let (oldest, forgotten) = next.snapshots.give_back(next.txns[i].snapshot);
                next.forget(i, forgotten, oldest);
            }
        }
        next.one("ends")
    }

    fn names<'a>(&self, next: &'a mut State, name: &LockName) -> &'a mut Names<Who> {
        &mut next.parts[self.part(row_of(name))]
    }

    fn ring(&self, next: &mut State, part: usize) {
        for txn in &mut next.txns {
            if let At::Sleeps { row, holder } = txn.at
                && self.part(row) == part
            {
                txn.at = At::Awake { row, holder };
            }
        }
    }
}

impl State {
    fn one(self, what: &'static str) -> Led {
        Ok(vec![(what, self)])
    }

    fn begin(mut self, i: usize) -> Led {
        self.txns[i].snapshot = self.snapshots.take();
        self.txns[i].at = At::Runs;
        self.one("begins")
    }

    fn did(mut self, i: usize, what: &'static str) -> Led {
        self.txns[i].done += 1;
        self.txns[i].at = At::Runs;
        self.one(what)
    }

    fn changed_after(&self, row: usize, snapshot: u64) -> bool {
        let changed = |txn: &Txn| txn.changed.iter().any(|(changed, _)| *changed == row);
        self.txns.iter().any(|txn| txn.committed.is_some_and(|at| at > snapshot) && changed(txn))
    }

    fn ends(&mut self, i: usize, chores: impl IntoIterator<Item = Chore>) {
        self.txns[i].at = At::Ends;
        self.txns[i].chores.extend(chores);
    }

    fn forget(&mut self, i: usize, forgotten: Vec<Changed>, oldest: u64) {
        let names = forgotten.iter().flat_map(|changed| changed.iter().cloned());
        self.ends(i, names.map(|name| Chore::Forget { name, oldest }));
    }
}
