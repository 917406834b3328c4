//! What a picture of a run says is what happened in the run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::What;

/// An event of a picture.
struct Shown {
    at: u64,
    place: String,
    kind: String,
    text: String,
    now: String,
}

/// As a schedule has it.
fn name(at: Tick, n: u64, link: &str) -> String {
    let which = if n > 1 { format!("#{n} ") } else { String::new() };
    format!("{} {which}{link}", format!("{at:?}").trim_end_matches('s'))
}

/// A picture as data, and what its arrows join: the name, and the events at both ends.
struct Picture {
    events: Vec<Shown>,
    arrows: Vec<(String, Option<usize>, Option<usize>)>,
}

fn picture(w: &Flock) -> Picture {
    let page = w.diagram("a test");
    let (_, rest) = page.split_once("id=\"run\">").unwrap();
    let json: Value = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    let number = |value: &Value| value.as_i64().unwrap();
    let event = |event: &Value| Shown {
        at: event[0].as_u64().unwrap(),
        place: format!("n{}.s{}", event[1], event[2]),
        kind: json["kinds"][number(&event[3]) as usize].as_str().unwrap().to_owned(),
        text: event[4].as_str().unwrap().to_owned(),
        now: event[5].as_str().unwrap().to_owned(),
    };
    let arrow = |arrow: &Value| {
        let link = format!("n{}.s{}>n{}.s{}", arrow[2], arrow[3], arrow[4], arrow[5]);
        let name = name(Tick(number(&arrow[6]) as u64), number(&arrow[7]) as u64, &link);
        (name, usize::try_from(number(&arrow[0])).ok(), usize::try_from(number(&arrow[1])).ok())
    };
    let all = |name: &str| json[name].as_array().unwrap().clone();
    Picture {
        events: all("events").iter().map(event).collect(),
        arrows: all("arrows").iter().map(arrow).collect(),
    }
}

impl Picture {
    fn kinds(&self) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        self.events.iter().for_each(|event| *kinds.entry(event.kind.as_str()).or_default() += 1);
        kinds
    }

    /// The arrows to events of that kind.
    fn arrows_to(&self, kind: &str) -> Vec<&str> {
        let to = |to: &Option<usize>| to.is_some_and(|to| self.events[to].kind == kind);
        self.arrows.iter().filter(|arrow| to(&arrow.2)).map(|arrow| arrow.0.as_str()).collect()
    }
}

#[test]
fn looking_changes_nothing() {
    for seed in 0..10 {
        let seen = eventful_with(seed, |w| w.keep_diagram(100));
        let unseen = eventful(seed);
        assert_eq!(seen.trace_hash(), unseen.trace_hash());
        assert_eq!(seen.trace().events(), unseen.trace().events());
        assert_eq!(picture(&unseen).events.len(), 0, "nothing is kept unasked");
    }
}

#[test]
fn an_arrow_leads_from_where_a_message_was_sent_to_where_it_came() {
    let mut w = flock(1);
    w.keep_diagram(1_000);
    w.request(A, S0, Ask::Count(at(B), 2));
    w.request(A, S1, Ask::Count(at(A), 1));
    w.run_for(SECOND);
    let picture = picture(&w);
    let mut told = Vec::new();
    for (name, from, to) in &picture.arrows {
        let (from, to) = (&picture.events[from.unwrap()], &picture.events[to.unwrap()]);
        assert_eq!((from.kind.as_str(), to.kind.as_str()), ("sent", "message"));
        assert!(to.text.contains(&from.text) && to.at > from.at, "{} {}", from.text, to.text);
        assert!(name.ends_with(&format!(" {}>{}", from.place, to.place)), "{name}");
        told.push(format!("{name} {}", from.text));
    }
    told.sort();
    assert_eq!(
        told,
        [
            "0.010000 #2 n0.s0>n1.s0 Number(1)",
            "0.010000 n0.s0>n1.s0 Number(0)",
            "0.010000 n0.s1>n0.s0 Number(0)"
        ]
    );
}

/// In any weather: each sending has an arrow, and so has each arrival, which says what was sent.
#[test]
fn arrows_miss_nothing() {
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        let w = eventful_with(seed, |w| w.keep_diagram(100_000));
        let picture = picture(&w);
        let (mut begun, mut ended) = (BTreeSet::<usize>::new(), BTreeSet::<usize>::new());
        for (name, from, to) in &picture.arrows {
            begun.extend(from);
            assert!(to.is_none_or(|to| ended.insert(to)), "{name} ends where another does");
            if let (Some(from), Some(to)) = (from, to) {
                let (from, to) = (&picture.events[*from], &picture.events[*to]);
                assert!(from.at <= to.at, "{name}");
                assert!(from.kind == "sent" || from.kind == "stalled", "{name} {}", from.kind);
                let says = from.kind == "sent" && to.kind == "message";
                assert!(!says || to.text.contains(&from.text), "{name} {} {}", from.text, to.text);
            }
        }
        for (at, event) in picture.events.iter().enumerate() {
            let kind = event.kind.as_str();
            let arrives = ["message", "dropped", "lost", "stalled"].contains(&kind);
            assert!(!arrives || ended.contains(&at), "{kind} {}", event.text);
            assert!(kind != "sent" || begun.contains(&at), "{}", event.text);
        }
        seen.extend(picture.kinds().into_keys().map(str::to_owned));
    }
    for kind in "crash boot pause resume block heal reset weather unsent dropped lost stalled write"
        .split(' ')
    {
        assert!(seen.contains(kind), "no {kind} in {seen:?}");
    }
}

/// A reader who has found an arrow finds its line in the schedule.
#[test]
fn messages_have_the_names_of_their_decisions() {
    let mut w = flock(3);
    w.record();
    w.keep_diagram(10_000);
    w.set_faults(Faults { drop_per_mille: 300, full_per_mille: 100, ..Faults::calm() });
    w.request(A, S0, Ask::Count(at(B), 100));
    w.run_for(SECOND);
    let decisions = w.decisions();
    let names = |is: fn(&What) -> bool| -> BTreeSet<String> {
        let points = decisions.keys().filter(|point| is(&point.what));
        points.map(|point| name(point.at, point.n, "n0.s0>n1.s0")).collect()
    };
    let picture = picture(&w);
    let dropped: BTreeSet<_> =
        picture.arrows_to("dropped").iter().map(|name| (*name).into()).collect();
    assert_eq!(dropped, names(|what| matches!(what, What::Drop(..))));
    assert!(dropped.len() > 10);
    let unsent = picture.events.iter().filter(|event| event.kind == "unsent");
    let unsent: Vec<_> = unsent.map(|event| event.text.clone()).collect();
    assert!(unsent.len() > 3);
    for name in names(|what| matches!(what, What::Refuse(..))) {
        let text = format!("{name} refuse");
        assert!(unsent.contains(&text), "{text}");
    }
}

#[test]
fn what_a_partition_holds_up_has_an_arrow_there_and_one_from_there() {
    let mut w = flock(8);
    w.keep_diagram(1_000);
    w.request(A, S0, Ask::Count(at(B), 1));
    w.run_for(1);
    w.partition(&[A], &[B]);
    w.run_for(SECOND);
    w.heal();
    let picture = picture(&w);
    assert_eq!(picture.arrows_to("stalled"), ["0.010000 n0.s0>n1.s0"]);
    assert_eq!(picture.arrows_to("message"), ["0.010000 n0.s0>n1.s0"]);
    let (_, from, _) = &picture.arrows[1];
    assert_eq!(picture.events[from.unwrap()].kind, "stalled");
}

#[test]
fn only_the_last_are_kept_and_who_is_down_is_known() {
    let mut w = flock(5);
    w.crash(C);
    w.pause(B);
    w.keep_diagram(50);
    w.resume(B);
    w.request(A, S0, Ask::Chatter(500));
    w.run_for(SECOND);
    let picture = picture(&w);
    let first: Vec<_> = picture.events.iter().take(3).map(|event| event.kind.as_str()).collect();
    assert_eq!(first, ["pause", "crash", "resume"]);
    assert_eq!(picture.events.len(), 3 + 50);
    assert!(w.diagram("t").contains("the last 50 of "));
    let page = w.diagram("t").len();
    assert!(page < 200_000, "{page} bytes");
}

#[test]
fn a_step_shows_what_it_changed() {
    let mut w = flock(6);
    w.keep_diagram(1_000);
    w.request(A, S0, Ask::Count(at(B), 1));
    w.run_for(SECOND);
    let picture = picture(&w);
    let arrival = picture.events.iter().find(|event| event.kind == "message").unwrap();
    assert!(arrival.now.contains("heard: [(Address { node: n0"), "{}", arrival.now);
}

/// The step that breaks a property is the one that everybody wants to see.
#[test]
fn a_run_that_panicked_can_be_drawn() {
    let mut w = flock(7);
    w.keep_quiet();
    w.keep_diagram(1_000);
    // A second PeerUp in a row is what `check` forbids.
    let hello = bytes::Bytes::from_static(b"1");
    let event = Event::PeerUp { node: B, shards: 2, hello };
    let run = std::panic::AssertUnwindSafe(|| w.turn(A, S0, event));
    assert!(std::panic::catch_unwind(run).is_err());
    let picture = picture(&w);
    let last = picture.events.last().unwrap();
    assert_eq!((last.kind.as_str(), last.place.as_str()), ("up", "n0.s0"));
    assert!(last.now.contains("(n1, true)") || last.now.contains("n1"), "{}", last.now);
}
