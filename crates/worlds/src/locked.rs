//! What clients were told of locks, and the rules that this must obey.
//!
//! Nothing here looks at a node: a client knows when it asked and when it heard, and what was decided was decided in between.
//!
//! | rule | says |
//! |---|---|
//! | [`EXCLUDES`] | Two clients never hold at the same time what does not go together. |
//! | [`TOKENS`] | Who is granted a lock gets a token larger than all that anybody had heard of when it asked. |
//! | [`FENCE`] | Who holds a lock is let through by the fence of what the lock protects. |
//! | [`WHOLE`] | Behind the fence, nothing changes under the hands of whoever is let through again. |
//! | [`VALUE`] | A value block shows what was written last, or says that this is not certain. |
//!
//! # When a lock is held
//!
//! A client that hears of a grant cannot know whether it holds the lock: its session may be over. But when a later request about this
//! lock is answered, it was held when that was asked. So a grant is *known* to be held from when it was heard up to the last such
//! question. What a client does afterwards is for the fence to judge.

mod values;

use std::collections::BTreeMap;

use ombak_base::Tick;
use ombak_paxos::locks::{Fence, Mode, Refused, SessionId, Token, ValueBlock};

use crate::history::Broken;
use values::Written;

pub(crate) const EXCLUDES: &str = "a lock excludes others";
pub(crate) const TOKENS: &str = "tokens grow";
pub(crate) const FENCE: &str = "who holds a lock passes its fence";
pub(crate) const WHOLE: &str = "what a fence protects stays whole";
pub(crate) const VALUE: &str = "a value block shows what was written last";

/// Whose lock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Owner {
    pub session: SessionId,
    pub lock: u64,
}

/// What a client was told, and when it had asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub printer: usize,
    pub owner: Owner,
    pub mode: Mode,
    pub asked: Tick,
    pub heard: Tick,
}

/// A lock was granted, or another mode of it.
#[derive(Clone, Debug)]
struct Grant {
    told: Told,
    token: Token,
    value: ValueBlock,
    /// It is known to have been held until then.
    until: Tick,
    /// The grant of the same lock that this one replaced.
    before: Option<usize>,
    /// What its holder last saw behind the fence.
    seen: Option<u64>,
    /// When it was used, and whether the fence let that pass.
    uses: Vec<(Tick, bool)>,
}

/// What is locked: it has a fence, and counts its changes.
#[derive(Clone, Default, Debug)]
struct Printer {
    fence: Fence,
    changes: u64,
}

/// Everything that clients were told.
#[derive(Clone, Debug)]
pub(crate) struct Locked {
    printers: Vec<Printer>,
    grants: Vec<Grant>,
    written: Vec<Written>,
    /// What was seen to change under somebody's hands.
    torn: Option<String>,
}

impl Locked {
    pub fn new(printers: usize) -> Locked {
        let printers = vec![Printer::default(); printers];
        Locked { printers, grants: Vec::new(), written: Vec::new(), torn: None }
    }

    /// How often a lock, or another mode of one, was granted.
    pub fn grants(&self) -> usize {
        self.grants.len()
    }

    /// How a grant lets hold.
    pub fn mode(&self, grant: usize) -> Mode {
        self.grants[grant].told.mode
    }

    /// On what a grant is.
    pub fn printer(&self, grant: usize) -> usize {
        self.grants[grant].told.printer
    }

    /// A lock was granted; or another mode for the one that was granted `before`. The name of the grant.
    pub fn granted(
        &mut self,
        told: Told,
        token: Token,
        value: &ValueBlock,
        before: Option<usize>,
    ) -> usize {
        before.into_iter().for_each(|before| self.held_until(before, told.asked));
        let kept = before.map(|before| &self.grants[before]);
        let kept = kept.filter(|before| before.token == token && protects(told.mode));
        let (seen, until) = (kept.and_then(|before| before.seen), told.heard);
        let (value, uses) = (value.clone(), Vec::new());
        self.grants.push(Grant { told, token, value, until, before, seen, uses });
        self.grants.len() - 1
    }

    /// A grant was still held then.
    pub fn held_until(&mut self, grant: usize, at: Tick) {
        let grant = &mut self.grants[grant];
        grant.until = grant.until.max(at);
    }

    /// Somebody uses what it was granted, rightly or not.
    pub fn used(&mut self, grant: usize, at: Tick) {
        let grant = &mut self.grants[grant];
        let (printer, mode) = (&mut self.printers[grant.told.printer], grant.told.mode);
        let passes = printer.fence.pass(mode, grant.token).is_ok();
        grant.uses.push((at, passes));
        if !passes {
            return;
        }
        let seen = grant.seen.filter(|_| protects(mode));
        if seen.is_some_and(|seen| seen != printer.changes) {
            self.torn = Some(format!("at {at:?}, {} changes: {grant:?}", printer.changes));
        }
        printer.changes += u64::from(mode == Mode::CW || mode.writes());
        grant.seen = Some(printer.changes);
    }

    /// Whether all rules hold.
    pub fn check(&self) -> Result<(), Broken> {
        if let Some(detail) = self.torn.clone() {
            return Err(Broken { rule: WHOLE, detail });
        }
        self.check_exclusion()?;
        self.check_tokens()?;
        self.check_fences()?;
        self.check_values()
    }

    fn check_exclusion(&self) -> Result<(), Broken> {
        let mut known: Vec<&Grant> =
            self.grants.iter().filter(|grant| grant.told.heard < grant.until).collect();
        known.sort_by_key(|grant| (grant.told.printer, grant.told.heard));
        for (at, one) in known.iter().enumerate() {
            // Those that begin while this one is held.
            let beside = known[at + 1..].iter().take_while(|other| {
                other.told.printer == one.told.printer && other.told.heard < one.until
            });
            if let Some(other) = beside.into_iter().find(|other| one.excludes(other)) {
                return Err(Broken { rule: EXCLUDES, detail: format!("{one:?} and {other:?}") });
            }
        }
        Ok(())
    }

    fn check_tokens(&self) -> Result<(), Broken> {
        let broken = |detail| Err(Broken { rule: TOKENS, detail });
        let mut given: BTreeMap<Token, Owner> = BTreeMap::new();
        let largest = self.largest_tokens();
        for grant in &self.grants {
            let before = grant.before.map(|before| &self.grants[before]);
            let keeps = before.filter(|before| grant.told.mode.at_most(before.told.mode));
            if let Some(before) = keeps {
                if before.token != grant.token {
                    return broken(format!("{grant:?} does not keep that of {before:?}"));
                }
                continue;
            }
            let owner = grant.told.owner;
            if given.insert(grant.token, owner).is_some() {
                return broken(format!("{grant:?}: it was given before"));
            }
            let earlier = largest.partition_point(|(heard, _)| *heard < grant.told.asked);
            let largest = earlier.checked_sub(1).map(|last| largest[last].1);
            if largest >= Some(grant.token) {
                return broken(format!("{grant:?}, and {largest:?} had been heard of"));
            }
        }
        Ok(())
    }

    /// The largest token that anybody had heard of, from each moment on.
    fn largest_tokens(&self) -> Vec<(Tick, Token)> {
        let mut heard: Vec<_> = self.grants.iter().map(|it| (it.told.heard, it.token)).collect();
        heard.sort_unstable();
        let mut largest = Token(0);
        for (_, token) in &mut heard {
            largest = largest.max(*token);
            *token = largest;
        }
        heard
    }

    fn check_fences(&self) -> Result<(), Broken> {
        for grant in &self.grants {
            let held = grant.told.heard..=grant.until;
            let refused = grant.uses.iter().find(|(at, passed)| !passed && held.contains(at));
            if let Some((at, _)) = refused {
                return Err(Broken { rule: FENCE, detail: format!("at {at:?}: {grant:?}") });
            }
        }
        Ok(())
    }
}

impl Grant {
    /// Whether two clients held at the same time what does not go together.
    fn excludes(&self, other: &Grant) -> bool {
        let (one, two) = (&self.told, &other.told);
        one.printer == two.printer
            && one.owner != two.owner
            && !one.mode.compatible(two.mode)
            && one.heard < other.until
            && two.heard < self.until
    }
}

/// Whether a request was refused for what others hold: the session goes on, and what it held it holds.
pub(crate) fn is_about_others(why: Refused) -> bool {
    matches!(why, Refused::WouldWait | Refused::TimedOut | Refused::Deadlock)
}

/// Whether nobody else changes anything as long as this is held.
fn protects(mode: Mode) -> bool {
    mode == Mode::PR || mode.writes()
}

#[cfg(test)]
mod tests;
