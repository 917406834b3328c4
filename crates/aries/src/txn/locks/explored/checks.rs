//! What must hold.

use super::*;

impl Group {
    /// What holds between any two steps.
    pub fn check(&self, state: &State) -> Result<(), String> {
        for row in 0..ROWS {
            let holder = self.holder(state, row);
            let mut holders = state.txns.iter().enumerate().filter(|(_, txn)| txn.has(row));
            let by = holders.next().map(|(i, _)| id(i));
            if holder != by || holders.next().is_some() {
                return Err(format!("the table says {holder:?}, and {by:?} has row {row}"));
            }
        }
        let waiting = |txn: &&Txn| matches!(txn.at, At::Sleeps { .. } | At::Awake { .. });
        if state.waiters.len() != state.txns.iter().filter(waiting).count() {
            return Err("who waits is not who is said to".to_string());
        }
        for txn in &state.txns {
            let At::Sleeps { row, holder } = txn.at else { continue };
            let ring = Chore::Ring { part: self.part(row) };
            let is_told = || state.txns.iter().any(|txn| txn.chores.contains(&ring));
            if self.holder(state, row) != Some(holder) && !is_told() {
                return Err(format!("nobody tells him who waits for row {row}"));
            }
        }
        if state.is_over() { self.check_end(state) } else { Ok(()) }
    }

    fn check_end(&self, state: &State) -> Result<(), String> {
        if state.txns.iter().any(|txn| txn.stays) {
            return Ok(()); // Until the restart, which knows nothing of locks.
        }
        if state.parts.iter().any(|names| names.len() > 0) {
            return Err("something is kept that nobody needs".to_string());
        }
        if Some(&state.rows) != state.history.last() {
            return Err(format!("{:?} is on the page", state.rows));
        }
        if self.locks_all() && !self.is_serializable(state) {
            return Err("no order of the transactions gives this".to_string());
        }
        Ok(())
    }

    /// Whether nobody reads what he has not locked.
    pub fn locks_all(&self) -> bool {
        !self.scripts.concat().iter().any(|step| matches!(step, Get(_)))
    }

    /// Whether some order, one after the other, gives what those saw that committed, and what is there now.
    pub fn is_serializable(&self, state: &State) -> bool {
        let committed = |i: &usize| state.txns[*i].committed.is_some();
        let all: Vec<usize> = (0..state.txns.len()).filter(committed).collect();
        self.some_order(state, &all, [0; ROWS])
    }

    fn some_order(&self, state: &State, left: &[usize], rows: [u8; ROWS]) -> bool {
        if left.is_empty() {
            return rows == state.rows;
        }
        left.iter().any(|i| {
            let rest: Vec<usize> = left.iter().copied().filter(|other| other != i).collect();
            self.alone(state, *i, rows).is_some_and(|rows| self.some_order(state, &rest, rows))
        })
    }

    /// The rows after a transaction, if it would have seen what it saw.
    fn alone(&self, state: &State, i: usize, mut rows: [u8; ROWS]) -> Option<[u8; ROWS]> {
        let mut read = state.txns[i].read.iter();
        for step in self.scripts[i] {
            match *step {
                Put(row) => rows[row] = id(i).0 as u8,
                Get(row) | GetLocked(row) if read.next() != Some(&rows[row]) => return None,
                Get(_) | GetLocked(_) => {}
            }
        }
        Some(rows)
    }

    pub fn holder(&self, state: &State, row: usize) -> Option<TxnId> {
        state.parts[self.part(row)].holder(&name(row))
    }

    /// Whether somebody waits for the other, or for one who does. Whose lock was opened will run, and see whom he waits for then.
    pub fn leads(&self, state: &State, from: TxnId, to: TxnId) -> bool {
        let mut next = from;
        for _ in &state.txns {
            if next == to {
                return true;
            }
            next = match state.txns[next.0 as usize - 1].at {
                At::Sleeps { row, holder } | At::Awake { row, holder }
                    if self.holder(state, row) == Some(holder) =>
                {
                    holder
                }
                _ => return false,
            };
        }
        false
    }
}

impl State {
    pub fn is_over(&self) -> bool {
        self.txns.iter().all(|txn| txn.at == At::Done)
    }
}

impl Txn {
    /// Whether it has the lock of a row, and has not opened it yet.
    fn has(&self, row: usize) -> bool {
        let opens = |chore: &Chore| match chore {
            Chore::Unlock { name, .. } | Chore::Release(name) => *name == self::name(row),
            _ => false,
        };
        self.held.contains(&name(row)) || self.chores.iter().any(opens)
    }
}
