//! Groups in one process: what is promised, and what is refused by name.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use ombak_embed::{
    Bytes, COMMAND_BYTES_MAX, ChangeError, DecodeError, Group, LeadError, Lease, Membership,
    NodeId, Options, ProposeError, ReadError, Slot, StartError, StateMachine, Status,
};

const WITHIN: Duration = Duration::from_secs(30);

/// Everything that was ever said, but for what was said twice in a row. Says how much that is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Journal(Vec<u8>);

impl StateMachine for Journal {
    fn apply(&mut self, _: Slot, command: &Bytes) -> Bytes {
        assert_ne!(command.as_ref(), b"panic", "as it was told");
        if !self.0.ends_with(command) {
            self.0.extend_from_slice(command);
        }
        Bytes::from(self.0.len().to_string())
    }

    fn read(&self, _: &Bytes) -> Bytes {
        self.snapshot()
    }

    fn snapshot(&self) -> Bytes {
        Bytes::from(self.0.clone())
    }

    fn restore(snapshot: Bytes) -> Result<Journal, DecodeError> {
        Ok(Journal(snapshot.to_vec()))
    }
}

type Members = Vec<(NodeId, std::net::SocketAddr)>;

/// So many ports, bound.
fn ports(count: u32) -> (Vec<TcpListener>, Members) {
    let bind = |_| TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners: Vec<_> = (0..count).map(bind).collect();
    let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap());
    let members = (1..).map(NodeId).zip(addresses).collect();
    (listeners, members)
}

fn options(id: u32, members: &Members, dir: Option<&Path>) -> Options {
    let dir = dir.map(|dir| dir.join(id.to_string()));
    let mut options = Options { dir, ..Options::new("test", NodeId(id), members) };
    options.log.reserve_bytes = 0;
    options
}

fn start(count: u32, dir: Option<&Path>) -> Vec<Group<Journal>> {
    let (listeners, members) = ports(count);
    let one = |(id, listener)| {
        Group::start_on(options(id, &members, dir), listener, Journal::default()).unwrap()
    };
    (1..).zip(listeners).map(one).collect()
}

/// Says something at a member. On a busy machine a leader may be suspected, and what it was told be lost: that is said again.
fn say(group: &Group<Journal>, text: impl Into<Bytes>) -> Bytes {
    let (text, deadline) = (text.into(), Instant::now() + WITHIN);
    loop {
        match group.propose(text.clone(), WITHIN) {
            Err(ProposeError::Unknown) if Instant::now() < deadline => {}
            done => return done.unwrap(),
        }
    }
}

/// Waits until a member is as it should be.
fn until(group: &Group<Journal>, is: impl Fn(&Status) -> bool) -> Status {
    let (mut watch, deadline) = (group.watch().unwrap(), Instant::now() + WITHIN);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match watch.next(left).unwrap() {
            Some(status) if is(&status) => return status,
            Some(_) => {}
            None => panic!("not within {WITHIN:?}: {:?}", group.status()),
        }
    }
}

#[test]
fn what_one_member_was_told_all_others_read() {
    let groups = start(3, None);
    for (n, group) in groups.iter().cycle().take(12).enumerate() {
        let letter = [b'a' + n as u8];
        assert_eq!(say(group, letter.to_vec()), (n + 1).to_string());
        for reader in &groups {
            assert_eq!(reader.read("", WITHIN).unwrap().len(), n + 1);
        }
    }
    let leaders: BTreeSet<_> = groups.iter().map(|it| it.status().unwrap().leader).collect();
    assert_eq!(leaders.len(), 1, "{leaders:?}");
    let status = groups[0].status().unwrap();
    assert_eq!(status.voters, (1..=3).map(NodeId).collect());
    assert!(status.slot > 0 && status.is_ready && status.failure.is_none());
}

#[test]
fn a_command_is_awaited_elsewhere() {
    let groups = start(3, None);
    until(&groups[1], |status| status.leader.is_some());
    let mut pending: Vec<_> = (0..100).map(|n| groups[1].propose_later(vec![n]).unwrap()).collect();
    let mut last = pending.pop().unwrap();
    let deadline = Instant::now() + WITHIN;
    let answer = loop {
        match last.poll() {
            Some(answer) => break answer,
            None => assert!(Instant::now() < deadline, "no answer"),
        }
        std::thread::yield_now();
    };
    assert_eq!(answer.unwrap(), "100");
    for (n, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.wait(WITHIN).unwrap(), (n + 1).to_string());
    }
}

#[test]
fn what_was_answered_is_there_after_a_restart_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut said = String::new();
    for round in 0..3 {
        let (listeners, members) = ports(3);
        let groups: Vec<_> = (1..)
            .zip(listeners)
            .map(|(id, listener)| {
                // So small that most of it is in snapshots.
                let options =
                    Options { snapshot_every: 100, ..options(id, &members, Some(dir.path())) };
                Group::start_on(options, listener, Journal::default()).unwrap()
            })
            .collect();
        assert_eq!(groups[round].read("", WITHIN).unwrap(), said);
        for n in 0..20 {
            let line = format!("round {round} command {n}\n");
            say(&groups[n % 3], line.clone());
            said += &line;
        }
        for group in groups {
            group.stop().unwrap();
        }
    }
}

#[test]
fn members_change_and_the_old_ones_may_go() {
    let dir = tempfile::tempdir().unwrap();
    let (listeners, members) = ports(4);
    let mut groups: Vec<_> = (1..)
        .zip(listeners)
        .map(|(id, listener)| {
            let voters = (1..=3).map(NodeId).filter(|_| id != 4).collect();
            let options = Options { voters, ..options(id, &members, Some(dir.path())) };
            Group::start_on(options, listener, Journal::default()).unwrap()
        })
        .collect();
    say(&groups[0], "before");
    let error = groups[0].change([NodeId(9)], WITHIN).unwrap_err();
    assert_eq!(error, ChangeError::NotAPeer(NodeId(9)));
    assert_eq!(groups[0].change([], WITHIN), Err(ChangeError::Refused));
    let deadline = Instant::now() + WITHIN;
    loop {
        match groups[1].change([NodeId(2), NodeId(3), NodeId(4)], WITHIN) {
            Ok(()) => break,
            // A leader was lost on the way: it is under way, or is not.
            Err(ChangeError::Unknown | ChangeError::Refused) if Instant::now() < deadline => {}
            Err(error) => panic!("{error}"),
        }
    }
    groups.remove(0).stop().unwrap();
    let last = groups.pop().unwrap();
    // If the first one led, another one does soon: what is proposed meanwhile may be lost with it.
    let voters: BTreeSet<_> = (2..=4).map(NodeId).collect();
    until(&last, |status| {
        status.voters == voters && status.leader.is_some_and(|leader| voters.contains(&leader))
    });
    assert_eq!(say(&last, " after"), "12");
    assert_eq!(last.read("", WITHIN).unwrap(), "before after");
}

/// What a witness is started with: nobody asks it anything.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Nothing;

impl StateMachine for Nothing {
    fn apply(&mut self, _: Slot, _: &Bytes) -> Bytes {
        panic!("a witness applies nothing")
    }

    fn read(&self, _: &Bytes) -> Bytes {
        panic!("a witness is not read from")
    }

    fn snapshot(&self) -> Bytes {
        panic!("a witness has no state")
    }

    fn restore(_: Bytes) -> Result<Nothing, DecodeError> {
        panic!("a witness is sent no state")
    }
}

#[test]
fn with_a_witness_any_one_of_three_may_be_away() {
    let dir = tempfile::tempdir().unwrap();
    let (listeners, members) = ports(3);
    let witnesses = BTreeSet::from([NodeId(3)]);
    let options = |id| {
        let options = options(id, &members, Some(dir.path()));
        Options { witnesses: witnesses.clone(), snapshot_every: 100, ..options }
    };
    let mut listeners = listeners.into_iter();
    let mut listen = || listeners.next().unwrap();
    let first = Group::start_on(options(1), listen(), Journal::default()).unwrap();
    let second = Group::start_on(options(2), listen(), Journal::default()).unwrap();
    let witness = Group::start_on(options(3), listen(), Nothing).unwrap();
    let mut said = String::new();
    for n in 0..40 {
        let line = format!("command {n}\n");
        say(&first, line.clone());
        said += &line;
    }
    assert_eq!(first.status().unwrap().witnesses, witnesses);
    first.stop().unwrap();
    assert_eq!(second.read("", WITHIN).unwrap(), said);
    say(&second, "alone with the witness");
    witness.stop().unwrap();
    let witness = Group::start_on(options(3), TcpListener::bind(members[2].1).unwrap(), Nothing);
    let witness = witness.unwrap();
    assert_eq!(witness.read("", WITHIN).unwrap().len(), said.len() + 22, "it asks who leads");
    let change = |voters: &[u32], witnesses: &[u32]| Membership {
        voters: voters.iter().copied().map(NodeId).collect(),
        witnesses: witnesses.iter().copied().map(NodeId).collect(),
        ..Membership::default()
    };
    let ask = |to: Membership| {
        let deadline = Instant::now() + WITHIN;
        loop {
            match second.change_to(to.clone(), WITHIN) {
                Err(ChangeError::Unknown | ChangeError::NotNow(_)) if Instant::now() < deadline => {
                }
                done => return done,
            }
        }
    };
    let refused = ask(change(&[2, 3], &[2]));
    assert_eq!(refused, Err(ChangeError::Refused), "nobody would keep the state");
    ask(change(&[2, 3], &[])).unwrap();
    let status = second.status().unwrap();
    assert_eq!(status.voters, BTreeSet::from([NodeId(2), NodeId(3)]));
    assert_eq!(status.witnesses, witnesses);
}

#[test]
fn with_a_lease_a_leader_reads_alone_and_its_successor_waits() {
    let (listeners, members) = ports(3);
    let lease = Some(Lease { ms: 1_000, drift_ppm: 200 });
    let one = |(id, listener)| {
        let options = Options { lease, ..options(id, &members, None) };
        Group::start_on(options, listener, Journal::default()).unwrap()
    };
    let mut groups: Vec<_> = (1..).zip(listeners).map(one).collect();
    say(&groups[0], "first");
    let leader = until(&groups[0], |status| status.leader.is_some()).leader.unwrap();
    let leader = groups.remove(leader.0 as usize - 1);
    let sent = || leader.counters().shards[0].frames_out;
    let before = sent();
    for _ in 0..3_000 {
        assert_eq!(leader.read("", WITHIN).unwrap(), "first");
    }
    // Two for each without: it would ask both others.
    assert!(sent() - before < 3_000, "{}", sent() - before);
    leader.stop().unwrap();
    say(&groups[1], " second");
    assert_eq!(groups[0].read("", WITHIN).unwrap(), "first second");
}

#[test]
fn without_a_majority_nothing_is_decided_and_it_says_so() {
    let mut groups = start(3, None);
    say(&groups[0], "x");
    let last = groups.pop().unwrap();
    groups.into_iter().for_each(|group| group.stop().unwrap());
    until(&last, |status| status.leader.is_none());
    let short = Duration::from_millis(50);
    let error = last.propose("y", short).unwrap_err();
    assert_eq!(error, ProposeError::Unknown, "it waits, and would propose it yet");
    assert_eq!(last.read("", short).unwrap_err(), ReadError::Late(short));
}

#[test]
fn what_is_too_large_is_refused_at_once() {
    let group = &start(1, None)[0];
    let large = vec![0; COMMAND_BYTES_MAX + 1];
    let error = group.propose(large.clone(), WITHIN).unwrap_err().to_string();
    assert_eq!(error, "nothing was proposed: 1048577 bytes, and at most 1048576 are taken");
    assert!(matches!(group.read(large, WITHIN), Err(ReadError::TooLarge(_))));
    let largest = group.propose(vec![0; COMMAND_BYTES_MAX], WITHIN).unwrap();
    assert_eq!(largest, "1048576");
}

#[test]
fn a_state_larger_than_a_message_is_carried_to_who_was_away() {
    let dir = tempfile::tempdir().unwrap();
    let (listeners, members) = ports(3);
    let begin = |id, listener| {
        let options =
            Options { snapshot_every: 2_000_000, ..options(id, &members, Some(dir.path())) };
        Group::start_on(options, listener, Journal::default()).unwrap()
    };
    let mut groups: Vec<_> =
        (1..).zip(listeners).map(|(id, listener)| begin(id, listener)).collect();
    // A group begins when all have met.
    say(&groups[2], "");
    groups.pop().unwrap().stop().unwrap();
    for n in 0..12 {
        say(&groups[0], vec![n; COMMAND_BYTES_MAX]);
    }
    let third = begin(3, TcpListener::bind(members[2].1).unwrap());
    assert_eq!(third.read("", WITHIN).unwrap().len(), 12 * COMMAND_BYTES_MAX);
    groups.into_iter().nth(1).unwrap().stop().unwrap();
    drop(third);
}

#[test]
fn a_state_machine_that_panics_ends_its_member_and_nothing_else() {
    let group = start(1, None).remove(0);
    say(&group, "x");
    let error = group.propose("panic", WITHIN).unwrap_err();
    assert!(matches!(error, ProposeError::Ended(_)), "{error}");
    assert!(matches!(group.read("", WITHIN), Err(ReadError::Ended(_))));
    let why = group.stop().unwrap_err().to_string();
    assert!(why.contains("as it was told"), "{why}");
}

#[test]
fn what_keeps_a_member_from_starting_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (listeners, members) = ports(1);
    let options = |id| options(id, &members, Some(dir.path()));
    let listen = Some(members[0].1);
    let error = Group::start(Options { listen, ..options(1) }, Journal::default()).err().unwrap();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    assert!(error.to_string().contains("free it, or change the address"), "{error}");
    drop(listeners);

    let group = Group::start(options(1), Journal::default()).unwrap();
    say(&group, "x");
    let error = Group::start(options(1), Journal::default()).err().unwrap();
    assert!(matches!(error, StartError::Locked(_)), "{error}");
    group.stop().unwrap();

    let other = Options { group: "other".into(), ..options(1) };
    let error = Group::start(other, Journal::default()).err().unwrap();
    assert!(matches!(error, StartError::OtherMember { .. }), "{error}");

    let again = Group::start(options(1), Journal::default()).unwrap();
    assert_eq!(again.read("", WITHIN).unwrap(), "x", "and nothing of that was in the way");
}

#[test]
fn options_that_contradict_themselves_are_refused() {
    let (_listeners, members) = ports(3);
    let good = options(1, &members, None);
    let says = |options: Options| match Group::start(options, Journal::default()) {
        Err(StartError::Options(what)) => what,
        Err(other) => other.to_string(),
        Ok(_) => "it has started".into(),
    };
    let peers = [good.peers.clone(), vec![members[1]]].concat();
    assert_eq!(says(Options { peers, ..good.clone() }), "a peer is named twice");
    let peers = members.clone();
    assert!(says(Options { peers, ..good.clone() }).contains("n1 is among its own peers"));
    let voters = BTreeSet::from([NodeId(2)]);
    assert!(says(Options { voters, ..good.clone() }).contains("n1 is not among the voters"));
    let witnesses = |ids: &[u32]| ids.iter().copied().map(NodeId).collect();
    let stranger = Options { witnesses: witnesses(&[9]), ..good.clone() };
    assert!(says(stranger).contains("n9 is to be a witness"));
    let all = Options { witnesses: witnesses(&[1, 2]), ..good.clone() };
    assert!(says(all).contains("too few keep the state"));
    let lease = |ms, drift_ppm| Options { lease: Some(Lease { ms, drift_ppm }), ..good.clone() };
    assert!(says(lease(1, 200)).contains("a lease lasts 10 ms"));
    assert!(says(lease(1_000, 500_000)).contains("wrong by more than a tenth"));
    let voters = BTreeSet::from([NodeId(1), NodeId(7)]);
    assert!(says(Options { voters, ..good.clone() }).contains("n7 is to vote"));
    assert!(says(Options { group: String::new(), ..good.clone() }).contains("name"));
    assert!(says(Options { listen: None, ..good }).contains("needs an address"));
}

/// One that keeps nothing on any disk comes back, and another; each in turn is made a voter again, and no command is forgotten.
#[test]
fn members_that_lost_what_they_promised_are_taken_in_again() {
    let mut groups = start(3, None);
    let members: Members =
        (1..).map(NodeId).zip(groups.iter().map(|group| group.address().unwrap())).collect();
    for (lost, letter) in ["a", "b", "c"].into_iter().enumerate() {
        say(&groups[(lost + 1) % 3], letter);
        let gone = groups.remove(lost);
        let id = gone.id();
        gone.stop().unwrap();
        let again = Group::start(options(id.0, &members, None), Journal::default()).unwrap();
        groups.insert(lost, again);
        until(&groups[lost], |status| status.votes && status.leader.is_some());
        assert_eq!(groups[lost].read("", WITHIN).unwrap(), &"abc"[..=lost]);
    }
    assert!(groups.iter().all(|group| group.refused().is_none()));
    assert_eq!(say(&groups[0], "d"), "4");
}

/// The same with a directory that is gone, as when a machine was replaced.
#[test]
fn a_member_whose_directory_is_gone_is_taken_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut groups = start(3, Some(dir.path()));
    let members: Members =
        (1..).map(NodeId).zip(groups.iter().map(|group| group.address().unwrap())).collect();
    say(&groups[0], "x");
    groups.pop().unwrap().stop().unwrap();
    std::fs::remove_dir_all(dir.path().join("3")).unwrap();
    let options = options(3, &members, Some(dir.path()));
    let again = Group::start(options.clone(), Journal::default()).unwrap();
    until(&again, |status| status.votes);
    assert_eq!(again.read("", WITHIN).unwrap(), "x");
    // The two that have the command on their disks need not both be there any more.
    groups.remove(0).stop().unwrap();
    assert_eq!(again.read("", WITHIN).unwrap(), "x");
    assert_eq!(say(&again, "y"), "2");
    again.stop().unwrap();
    let once_more = Group::start(options, Journal::default()).unwrap();
    assert_eq!(once_more.read("", WITHIN).unwrap(), "xy", "it kept what it was told");
}

/// Whoever wrote something finds it at every member, and asks nothing of the leader.
#[test]
fn a_member_is_read_where_a_command_stands() {
    let groups = start(3, None);
    let slot = loop {
        let pending = groups[0].propose_later("it is there").unwrap();
        match pending.wait_at(WITHIN) {
            Ok((slot, _)) => break slot,
            Err(ProposeError::Unknown | ProposeError::NotNow(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    for group in &groups {
        assert_eq!(group.read_at(slot, "", WITHIN).unwrap(), "it is there");
    }
    let ahead = Slot(slot.0 + 1_000);
    let behind = groups[1].read_at(ahead, "", Duration::from_millis(200));
    assert!(matches!(behind, Err(ReadError::Late(_) | ReadError::Behind)), "{behind:?}");
}

#[test]
fn the_lead_is_handed_to_who_is_named() {
    let groups = start(3, None);
    say(&groups[0], "a");
    for id in [1, 2, 3, 1] {
        let deadline = Instant::now() + WITHIN;
        // On a busy machine somebody else may be elected meanwhile.
        while let Err(error) = groups[1].lead(NodeId(id), WITHIN) {
            assert!(Instant::now() < deadline, "{error}");
        }
        say(&groups[2], format!("{id}"));
    }
    let refused = groups[0].lead(NodeId(9), WITHIN);
    assert_eq!(refused, Err(LeadError::Refused(NodeId(9))));
}
