//! Bytes: those that are golden, those that were cut or altered, and any at all.

use bytes::Bytes;
use ombak_base::{DecodeError, Wire};
use proptest::prelude::*;

use super::random::{World, tries};
use super::*;

/// Each line is something in the words of `Debug`, and its encoding. A line that changes is a new version.
const GOLDEN: &str = include_str!("../../../golden/locks-1.txt");

const REFUSED: [Refused; 18] = [
    Refused::NoSession,
    Refused::Lease,
    Refused::Forgotten,
    Refused::TooFarAhead,
    Refused::Full(Bound::Sessions),
    Refused::Full(Bound::SessionLocks),
    Refused::Full(Bound::Locks),
    Refused::Full(Bound::Waiters),
    Refused::NoLock,
    Refused::NoParent,
    Refused::HasChildren,
    Refused::Pending,
    Refused::NotPending,
    Refused::Value,
    Refused::WouldWait,
    Refused::TimedOut,
    Refused::Cancelled,
    Refused::Deadlock,
];

fn commands() -> Vec<Command> {
    let value = || Some(Value::new(b"v").unwrap());
    let requests = [
        Request::Lock {
            path: path("r"),
            under: None,
            mode: Mode::EX,
            wait: Wait::Us(300),
            notify: true,
        },
        Request::Lock {
            path: path("r/a"),
            under: Some(1),
            mode: Mode::PR,
            wait: Wait::No,
            notify: false,
        },
        Request::Convert { lock: 1, mode: Mode::CW, wait: Wait::Forever, value: value() },
        Request::Unlock { lock: 1, value: None },
        Request::Cancel { lock: 1 },
    ];
    let session = session('a');
    let calls = requests.into_iter().zip(1..);
    let calls =
        calls.map(|(request, number)| Command::Call { session, number, have: 300.into(), request });
    let others = [
        Command::Open {
            session,
            lease_us: 10_000_000,
            about: Value::new(b"db1:4711 backup").unwrap(),
        },
        Command::KeepAlive { session },
        Command::Close { session },
        Command::Tick,
        Command::NewLeader,
    ];
    let late = Command::Call {
        session,
        number: 7,
        have: Have::all_but(300, [1, 5]),
        request: Request::Cancel { lock: 1 },
    };
    others.into_iter().chain(calls).chain([late]).collect()
}

fn notices() -> Vec<Notice> {
    let (a, b) = (session('a'), session('b'));
    let lock = |session, number| LockId { session, number };
    let value = ValueBlock { value: Value::new(b"v").unwrap(), valid: false };
    let granted = Answer::Granted { mode: Mode::PW, token: Token(300), value };
    let answers = [granted, Answer::Waiting, Answer::Unlocked, Answer::Cancelled].into_iter();
    let answers = answers.chain(REFUSED.map(Answer::Refused));
    let answers = answers.map(|answer| Notice::Answer { session: a, number: 1, answer });
    let states = [
        SessionState::Live { until: LogTime(300) },
        SessionState::Closed,
        SessionState::Expired,
        SessionState::Refused(Refused::Lease),
    ];
    let states = states.map(|state| Notice::Session { session: a, state });
    let edge = |waiter, blocker, why| WaitsFor { waiter, blocker, why };
    let others = [
        Notice::Blocking { lock: lock(a, 1), waiter: lock(b, 2), wanted: Mode::CR },
        Notice::Deadlock {
            victim: lock(b, 2),
            cycle: vec![
                edge(lock(a, 2), lock(b, 1), Why::Held),
                edge(lock(b, 2), lock(a, 2), Why::Ahead),
            ],
        },
    ];
    answers.chain(states).chain(others).collect()
}

/// One that holds, converts and waits, under a parent, with values valid and not, and answers kept.
fn busy() -> LockManager {
    let mut manager = LockManager::default();
    let mut now = LogTime(1_000_000);
    let mut apply = |command: Command| {
        now = now.plus_us(1_000);
        manager.apply(now, &command, &mut |_| ());
    };
    for name in ['a', 'b', 'c', 'd'] {
        apply(Command::Open {
            session: session(name),
            lease_us: 60_000_000,
            about: Value::default(),
        });
    }
    let lock = |on: &str, under, mode| Request::Lock {
        path: path(on),
        under,
        mode,
        wait: Wait::Us(5_000_000),
        notify: on == "r",
    };
    let convert = |lock, mode, value: Option<&[u8]>| Request::Convert {
        lock,
        mode,
        wait: Wait::Forever,
        value: value.map(|bytes| Value::new(bytes).unwrap()),
    };
    for (name, number, request) in [
        ('a', 1, lock("r", None, Mode::CW)),
        ('b', 1, lock("r", None, Mode::CR)),
        ('a', 2, lock("r/a", Some(1), Mode::PW)),
        ('b', 2, convert(1, Mode::PR, None)),
        ('c', 1, lock("r", None, Mode::EX)),
        ('a', 3, convert(2, Mode::PW, Some(b"v1"))),
        ('d', 1, lock("s", None, Mode::EX)),
        ('c', 2, lock("s", None, Mode::NL)),
    ] {
        apply(Command::Call { session: session(name), number, have: 0.into(), request });
    }
    apply(Command::Close { session: session('d') });
    manager.check();
    manager
}

fn encoded(whole: &impl Wire) -> Vec<u8> {
    let mut bytes = Vec::new();
    whole.encode(&mut bytes);
    bytes
}

fn line(whole: &(impl Wire + std::fmt::Debug)) -> String {
    let hex: String = encoded(whole).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{whole:?}\n    {hex}\n")
}

#[test]
fn golden_bytes() {
    let commands = commands().iter().map(line).collect::<String>();
    let notices = notices().iter().map(line).collect::<String>();
    let snapshot: String = encoded(&busy()).iter().map(|byte| format!("{byte:02x}")).collect();
    let all = format!("{commands}{notices}the snapshot of a busy one\n    {snapshot}\n");
    assert_eq!(all, GOLDEN, "a changed format needs a new version\n{all}");
}

/// What was written is read, and nothing that was cut, that goes on, or that is of another version.
fn read_exactly<W: Wire + PartialEq + std::fmt::Debug>(whole: &W) {
    let bytes = encoded(whole);
    assert_eq!(W::decode(bytes.clone().into()).as_ref(), Ok(whole));
    for end in 0..bytes.len() {
        assert!(W::decode(Bytes::copy_from_slice(&bytes[..end])).is_err(), "{end} of {bytes:?}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(W::decode(longer.into()), Err(DecodeError::Trailing));
    let newer = [&[2], &bytes[1..]].concat();
    assert_eq!(W::decode(newer.into()), Err(DecodeError::Version(2)));
}

#[test]
fn read_as_written_and_no_other_way() {
    commands().iter().for_each(read_exactly);
    notices().iter().for_each(read_exactly);
    read_exactly(&busy());
    read_exactly(&LockManager::default());
}

#[test]
fn every_refusal_says_what_to_do() {
    let texts: std::collections::BTreeSet<_> =
        REFUSED.iter().map(|refused| refused.to_string()).collect();
    assert_eq!(texts.len(), REFUSED.len());
}

#[test]
fn names_and_values_have_bounds() {
    let long = |bytes: usize| Path::new([vec![b'n'; bytes]]);
    assert!(long(254).is_ok());
    assert_eq!(long(255), Err(BadPath::TooLong));
    assert_eq!(long(300), Err(BadPath::TooLong));
    assert_eq!(Path::new([""]), Err(BadPath::Empty));
    assert_eq!(Path::new::<&str>([]), Err(BadPath::Empty));
    assert!(Path::new(["n"; 16]).is_ok());
    assert_eq!(Path::new(["n"; 17]), Err(BadPath::TooDeep));
    assert!(Value::new(&[0; 64]).is_ok());
    assert_eq!(Value::new(&[0; 65]), Err(TooLarge));
    let deep = path("a/b/c");
    assert_eq!(deep.parent(), Some(path("a/b")));
    assert_eq!(path("a").parent(), None);
    assert_eq!((deep.to_string(), deep.names().count()), ("a/b/c".to_owned(), 3));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..80), known: bool) {
        if let Some(version) = bytes.first_mut().filter(|_| known) {
            *version = 1;
        }
        let bytes = Bytes::from(bytes);
        let _ = (Command::decode(bytes.clone()), Notice::decode(bytes.clone()));
        let _ = LockManager::decode(bytes);
    }

    /// An altered snapshot is refused, or it is the snapshot of something that works.
    #[test]
    fn an_altered_snapshot_is_refused_or_works(
        at: prop::sample::Index,
        byte: u8,
        tries in tries(12),
    ) {
        let mut bytes = encoded(&busy());
        *at.get_mut(&mut bytes) = byte;
        let bytes = Bytes::from(bytes);
        if let Ok(manager) = LockManager::decode(bytes.clone()) {
            manager.check();
            prop_assert_eq!(Bytes::from(encoded(&manager)), bytes);
            let mut world = World::new(manager);
            for (name, what) in tries {
                let Some(command) = world.command(name, what) else { continue };
                apply(&mut world.manager, LogTime(0), &command);
                world.manager.check();
            }
        }
    }
}
