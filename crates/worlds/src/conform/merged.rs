//! Steps of many shards in one order: a message is sent before it is received, and else time decides.

use std::collections::BTreeMap;

use ombak_base::{Address, ClusterId, Event, NodeId};
use ombak_node::{Message, Shard};
use ombak_paxos::log::Mark;
use ombak_tape::{Player, Recording};

use super::sent::Sent;
use super::{Nonconformity, Sending, Step};

/// What is left of all recordings.
pub(super) struct Merged {
    lanes: BTreeMap<Address, Lane>,
    is_whole: bool,
    skew_us: u64,
}

/// What is left of one shard's.
struct Lane {
    player: Player<Shard>,
    /// The step that comes next.
    next: Option<Step>,
    /// Whether it was recorded from the shard's start on.
    from_start: bool,
    /// The wall clock of its first step.
    first_us: u64,
    /// And of the last one that was given out.
    last_us: u64,
    /// How far its part in the root group had come with the step that comes next.
    mark: Mark,
    cluster: ClusterId,
    /// How many nodes the cluster has, and how many shards this one.
    members: usize,
    shards: u16,
}

impl Lane {
    /// `None`: the shard has recorded nothing.
    fn of(recording: &Recording, at: Address) -> Result<Option<Lane>, Nonconformity> {
        let reels = recording.of(at);
        let from_start = reels.first().is_some_and(|reel| reel.steps_before == 0);
        let mut player = Player::<Shard>::new(reels);
        let Some(played) = player.step().transpose()? else { return Ok(None) };
        let config = played.machine.config();
        let (members, shards) = (config.topology.members.len(), config.shards);
        let (cluster, mut mark) = (config.topology.cluster, Mark::default());
        let (first_us, next) = (played.now.wall_us, Some(Step::of(played, &mut mark)));
        let last_us = first_us;
        let lane =
            Lane { player, next, from_start, first_us, last_us, mark, cluster, members, shards };
        Ok(Some(lane))
    }
}

/// Whether every shard of every node is there.
fn is_whole(lanes: &BTreeMap<Address, Lane>) -> bool {
    let mut missing: BTreeMap<NodeId, u16> =
        lanes.iter().map(|(at, lane)| (at.node, lane.shards)).collect();
    for at in lanes.keys() {
        missing.entry(at.node).and_modify(|missing| *missing = missing.saturating_sub(1));
    }
    let members = lanes.values().map(|lane| lane.members).max();
    members == Some(missing.len()) && missing.values().all(|missing| *missing == 0)
}

impl Merged {
    pub fn of(recordings: &[Recording], skew_us: u64) -> Result<Merged, Nonconformity> {
        let mut lanes = BTreeMap::new();
        let all =
            recordings.iter().flat_map(|of| of.addresses().into_iter().map(move |at| (of, at)));
        for (recording, at) in all {
            if let Some(lane) = Lane::of(recording, at)?
                && lanes.insert(at, lane).is_some()
            {
                return Err(Nonconformity::Twice(ombak_tape::Where(at)));
            }
        }
        let cluster = lanes.values().next().map(|lane| lane.cluster);
        if let Some((at, _)) = lanes.iter().find(|(_, lane)| Some(lane.cluster) != cluster) {
            return Err(Nonconformity::OtherCluster(ombak_tape::Where(*at)));
        }
        let is_whole = is_whole(&lanes);
        Ok(Merged { lanes, is_whole, skew_us })
    }

    /// From when on all windows have begun, by every clock.
    pub fn begins_us(&self) -> u64 {
        self.lanes.values().map(|lane| lane.first_us).max().unwrap_or(0) + self.skew_us
    }

    /// Whether every shard of every node is there.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.lanes.keys().copied()
    }

    /// The next step, and where its message comes from.
    pub fn next(&mut self, sent: &mut Sent) -> Result<Option<(Step, Sending)>, Nonconformity> {
        let Some((at, sending)) = self.choose(sent)? else { return Ok(None) };
        let Some(lane) = self.lanes.get_mut(&at) else { return Ok(None) };
        let step = lane.next.take();
        lane.last_us = step.as_ref().map_or(lane.last_us, |step| step.now.wall_us);
        let played = lane.player.step().transpose()?;
        lane.next = played.map(|played| Step::of(played, &mut lane.mark));
        Ok(step.map(|step| (step, sending)))
    }

    /// The earliest step whose message has been sent, if it has one.
    fn choose(&self, sent: &mut Sent) -> Result<Option<(Address, Sending)>, Nonconformity> {
        let next = |(at, lane): (&Address, &'_ Lane)| {
            lane.next.as_ref().map(|step| (step.now.wall_us, *at))
        };
        let mut all: Vec<(u64, Address)> = self.lanes.iter().filter_map(next).collect();
        all.sort_unstable();
        for (_, at) in &all {
            let Some(step) = self.lanes.get(at).and_then(|lane| lane.next.as_ref()) else {
                continue;
            };
            let Event::Message { from, message } = &step.event else {
                return Ok(Some((*at, Sending::None)));
            };
            if !self.lanes.contains_key(from) {
                return Ok(Some((*at, Sending::None)));
            }
            if let Some(after) = sent.take(*from, *at, message) {
                return Ok(Some((*at, Sending::Known(after))));
            }
            if self.may_be_from_outside(step, *from) {
                return Ok(Some((*at, Sending::Before)));
            }
        }
        match all.first() {
            None => Ok(None),
            Some((_, at)) => Err(self.never_sent(*at)),
        }
    }

    /// Whether a message may have been sent before its sender's window, or after it.
    fn may_be_from_outside(&self, step: &Step, from: Address) -> bool {
        let Some(lane) = self.lanes.get(&from) else { return true };
        let slack_us = if lane.from_start { 0 } else { self.skew_us };
        let us = step.now.wall_us;
        let has_ended = lane.next.is_none() && us + self.skew_us >= lane.last_us;
        has_ended || us < lane.first_us + slack_us
    }

    fn never_sent(&self, at: Address) -> Nonconformity {
        let step = self.lanes.get(&at).and_then(|lane| lane.next.as_ref());
        let what = |step: &Step| match &step.event {
            Event::Message { from, message } => {
                let name = match message {
                    Message::Told(..) => "an answer",
                    Message::Ask(..) => "a question",
                    _ => "a message",
                };
                format!("{name} came from {} that it has not sent", ombak_tape::Where(*from))
            }
            event => format!("{event:?}"),
        };
        let detail = step.map(what).unwrap_or_default();
        match step {
            Some(step) => step.broken("what is received was sent", detail),
            None => Nonconformity::Empty,
        }
    }
}
