//! What a thread does in one step, by the decisions of the log.

use super::*;

/// Where a step leads: to states, or to something that must not be.
pub type Led = Result<Vec<(String, State)>, String>;

impl State {
    fn one(self, what: impl Into<String>) -> Led {
        Ok(vec![(what.into(), self)])
    }

    pub fn step(&self, i: usize) -> Led {
        let mut next = self.clone();
        match &self.threads[i].at {
            At::Start => {
                next.append(i);
                next.one("appends")
            }
            At::Asks => next.ask(i),
            At::Writes(range) => next.write(i, *range),
            At::HasWritten(range, outcome) => {
                next.end(i, *range, *outcome);
                next.one("says so")
            }
            At::Rings(rings, outcome) => next.ring(i, rings, *outcome),
            At::GoesToWait { bell, rung } => {
                next.threads[i].at = if *rung { At::Awake } else { At::Sleeps { bell: *bell } };
                next.one("waits")
            }
            At::Awake => next.wake(i),
            At::Serves => next.serve(i),
            At::Sleeps { .. } | At::Parked | At::Done => Ok(Vec::new()),
        }
    }

    fn append(&mut self, i: usize) {
        let thread = &mut self.threads[i];
        thread.lsn = self.next;
        self.next += 1;
        thread.left -= 1;
        match &mut thread.tasks {
            None => thread.at = At::Asks,
            Some(tasks) => {
                tasks.waiting.push((thread.lsn, None));
                thread.at = if thread.left > 0 { At::Start } else { At::Awake };
            }
        }
    }

    /// [`SharedLog::force`].
    fn ask(mut self, i: usize) -> Led {
        let lsn = self.threads[i].lsn;
        match self.turns.next(Lsn(lsn), Lsn(self.durable), Lsn(self.batch)) {
            Next::Served => self.told(i),
            Next::Poisoned => {
                self.refused(i)?;
                self.one("is refused")
            }
            Next::Lead => self.lead(i),
            Next::Wait { bell } => {
                self.threads[i].at = At::GoesToWait { bell, rung: false };
                self.one("has to wait")
            }
        }
    }

    fn told(mut self, i: usize) -> Led {
        self.check_told(self.threads[i].lsn)?;
        self.go_on(i);
        self.one("is told that it is durable")
    }

    fn check_told(&self, lsn: u64) -> Result<(), String> {
        if lsn <= self.synced {
            return Ok(());
        }
        Err(format!("told that {lsn} is durable, and {} is", self.synced))
    }

    fn refused(&mut self, i: usize) -> Result<(), String> {
        if !self.failed {
            return Err("refused, and nothing has failed".to_string());
        }
        self.go_on(i);
        Ok(())
    }

    fn go_on(&mut self, i: usize) {
        let thread = &mut self.threads[i];
        thread.lsn = 0;
        thread.at = if thread.left > 0 { At::Start } else { At::Done };
    }

    /// [`End::take`].
    fn lead(mut self, i: usize) -> Led {
        if self.failed {
            return Err("writes after a failure".to_string());
        }
        if self.turns.is_leading() {
            return Err("two write at once".to_string());
        }
        let stuck = if self.stuck.is_empty() { None } else { Some(self.stuck.remove(0)) };
        self.turns.begin(stuck.is_none());
        let range = stuck.unwrap_or_else(|| {
            let range = (self.batch, self.next);
            self.batch = self.next;
            range
        });
        self.threads[i].at = At::Writes(range);
        self.one("leads")
    }

    fn write(self, i: usize, range: Range) -> Led {
        if range.0 != self.synced + 1 {
            return Err(format!("{} is written behind {}", range.0, self.synced));
        }
        let end = |outcome| {
            let mut next = self.clone();
            next.threads[i].at = At::HasWritten(range, outcome);
            next
        };
        let mut all = vec![("syncs".to_string(), end(Outcome::Durable))];
        all[0].1.synced = range.1 - 1;
        if self.full_left > 0 {
            let mut full = end(Outcome::Full);
            full.full_left -= 1;
            all.push(("finds no room".to_string(), full));
        }
        if self.may_fail {
            let mut failed = end(Outcome::Failed);
            (failed.may_fail, failed.failed) = (false, true);
            all.push(("fails".to_string(), failed));
        }
        Ok(all)
    }

    /// The second half of `Inner::lead`.
    fn end(&mut self, i: usize, range: Range, outcome: Outcome) {
        let woken = self.turns.end(outcome);
        match outcome {
            Outcome::Durable => self.durable = range.1 - 1,
            Outcome::Full => self.stuck.insert(0, range),
            Outcome::Failed => {}
        }
        let wakers = self.wakers.take(Lsn(self.durable), outcome != Outcome::Durable);
        self.threads[i].at = At::Rings(rings(woken, !wakers.is_empty()), outcome);
    }

    fn ring(mut self, i: usize, left: &[Ring], outcome: Outcome) -> Led {
        let Some((ring, rest)) = left.split_first() else { return self.back(i, outcome) };
        self.threads[i].at = At::Rings(rest.to_vec(), outcome);
        match ring {
            Ring::All(bell) => {
                self.rung(*bell);
                self.sleepers(*bell).into_iter().for_each(|one| self.threads[one].at = At::Awake);
                self.one(format!("rings {bell} for all"))
            }
            Ring::One(bell) => {
                self.rung(*bell);
                let sleepers = self.sleepers(*bell);
                if sleepers.is_empty() {
                    return self.one(format!("rings {bell} for nobody"));
                }
                let wake = |one: usize| {
                    let mut next = self.clone();
                    next.threads[one].at = At::Awake;
                    (format!("rings {bell} for {one}"), next)
                };
                Ok(sleepers.into_iter().map(wake).collect())
            }
            Ring::Executor => {
                for thread in &mut self.threads {
                    if let Some(tasks) = &mut thread.tasks {
                        tasks.woken = true;
                        if thread.at == At::Parked {
                            thread.at = At::Awake;
                        }
                    }
                }
                self.one("wakes tasks")
            }
        }
    }

    fn rung(&mut self, of: usize) {
        for thread in &mut self.threads {
            if let At::GoesToWait { bell, rung } = &mut thread.at {
                *rung |= *bell == of;
            }
        }
    }

    /// Who has led goes on with what came of it. For want of room he makes some, or goes his way.
    fn back(mut self, i: usize, outcome: Outcome) -> Led {
        if self.threads[i].tasks.is_some() {
            self.threads[i].at = if outcome == Outcome::Full { At::Serves } else { At::Awake };
            return self.one("has served");
        }
        match outcome {
            Outcome::Durable => self.threads[i].at = At::Asks,
            Outcome::Full => self.go_on(i),
            Outcome::Failed => self.refused(i)?,
        }
        self.one("has led")
    }

    fn wake(mut self, i: usize) -> Led {
        let Some(tasks) = &mut self.threads[i].tasks else {
            if self.durable >= self.threads[i].lsn {
                return self.told(i);
            }
            self.threads[i].at = At::Asks;
            return self.one("asks again");
        };
        tasks.woken = false;
        let waiting = std::mem::take(&mut tasks.waiting);
        self.threads[i].at = At::Serves;
        for (lsn, number) in waiting {
            self.poll(i, lsn, number)?;
        }
        self.one("polls")
    }

    /// The poll of a `Wait`. All of a round are one step: nothing is decided in between that a thread would see.
    fn poll(&mut self, i: usize, lsn: u64, mut number: Option<u64>) -> Result<(), String> {
        if self.durable >= lsn {
            return self.check_told(lsn);
        }
        if self.turns.is_poisoned() {
            return if self.failed { Ok(()) } else { Err("refused, and nothing failed".into()) };
        }
        self.wakers.wait(Lsn(lsn), &mut number, ());
        let tasks = self.threads[i].tasks.as_mut();
        tasks.into_iter().for_each(|tasks| tasks.waiting.push((lsn, number)));
        Ok(())
    }

    /// [`SharedLog::serve`], and what an executor does after it.
    fn serve(mut self, i: usize) -> Led {
        let busy = self.turns.is_leading() || self.turns.is_poisoned() || self.wakers.is_empty();
        if !busy {
            return self.lead(i);
        }
        let Some(tasks) = &self.threads[i].tasks else { return Ok(Vec::new()) };
        self.threads[i].at = match (tasks.waiting.is_empty(), tasks.woken) {
            (true, _) => At::Done,
            (false, true) => At::Awake,
            (false, false) => At::Parked,
        };
        self.one("has nothing to serve")
    }
}

fn rings(rings: Rings, wakes: bool) -> Vec<Ring> {
    let one = rings.one.map(Ring::One);
    let all = rings.all.into_iter().flatten().map(Ring::All);
    one.into_iter().chain(all).chain(wakes.then_some(Ring::Executor)).collect()
}
