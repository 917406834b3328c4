//! Ways that are written down and taken again, and what their pictures say.

use std::collections::BTreeSet;

use ombak_base::*;
use ombak_sim::Rng;
use ombak_sim::explore::{
    Cluster, Explorable, Explorer, History, Model, Named, NotTaken, Step, Walk,
};
use serde_json::Value;

use crate::machines::{Dice, tally};
use crate::orders;

const A: NodeId = NodeId(0);

fn step(what: Named) -> Step {
    Step { what, choices: Vec::new() }
}

#[test]
fn a_counterexample_is_taken_again_by_its_names() {
    let cluster = tally(true);
    let path = Explorer::new(&cluster).run().violation.unwrap().path;
    let steps = cluster.named(&path.actions);
    assert_eq!(steps, [Named::Ask(ClientId(0)), Named::Crash(A), Named::Start(A)].map(step));
    let mut walk = cluster.walk();
    for (at, step) in steps.iter().enumerate() {
        assert_eq!(walk.broken(), None, "before step {at}");
        walk.take(step).unwrap();
    }
    assert_eq!(walk.broken(), Some("always \"what was answered is remembered\""));
    assert_eq!(walk.lines(), path.lines);
}

#[test]
fn a_step_that_cannot_be_taken_says_which_can() {
    let cluster = tally(true);
    let mut walk = cluster.walk();
    let crash = step(Named::Crash(A));
    walk.take(&crash).unwrap();
    let can = vec![step(Named::Start(A))];
    assert_eq!(walk.take(&crash), Err(NotTaken::NotNow(can)));
    assert_eq!(walk.lines(), ["n0 crashes"], "nothing has changed");
}

#[test]
fn a_step_says_what_is_chosen_in_it() {
    let cluster = Cluster::new(1, |_| Dice { sides: 2, ..Dice::default() }).request(A, ());
    let throw = |choices: &[u64]| Step { what: Named::Ask(ClientId(0)), choices: choices.into() };
    let mut walk = cluster.walk();
    let can = [[0, 0], [0, 1], [1, 0], [1, 1]].map(|choices| throw(&choices)).to_vec();
    assert_eq!(walk.possible(), can);
    assert_eq!(walk.take(&throw(&[])), Err(NotTaken::Choices(can)));
    walk.take(&throw(&[1, 0])).unwrap();
    assert_eq!(walk.state().machine(A).unwrap().thrown, [1, 0]);
}

/// What is to come true by the end has not, and the end is there.
#[test]
fn a_walk_that_ends_too_early_is_broken_there() {
    let cluster = tally(false).eventually("twelve", |state| state.history().0 == 12);
    let mut walk = cluster.walk();
    let mut broken = Vec::new();
    for what in [Named::Ask(ClientId(0)), Named::Sync(A), Named::Ask(ClientId(1)), Named::Crash(A)]
    {
        walk.take(&step(what)).unwrap();
        broken.extend(walk.broken().map(str::to_owned));
    }
    walk.take(&step(Named::Start(A))).unwrap();
    walk.take(&step(Named::Crash(A))).unwrap();
    walk.take(&step(Named::Start(A))).unwrap();
    assert_eq!(broken, [""; 0]);
    assert_eq!(walk.possible(), []);
    assert_eq!(walk.broken(), Some("eventually \"twelve\" has not come true by the end"));
}

/// Goes on at random for so many steps, or to the end.
fn wander<M: Explorable, H: History<M>>(walk: &mut Walk<'_, M, H>, rng: &mut Rng) -> Vec<Step> {
    let mut taken = Vec::new();
    while taken.len() < 60 {
        let possible = walk.possible();
        let distinct: BTreeSet<&Step> = possible.iter().collect();
        assert_eq!(distinct.len(), possible.len(), "two steps have one name: {possible:?}");
        let Some(step) = rng.pick(&possible) else { break };
        walk.take(step).expect("it is possible");
        taken.push(step.clone());
    }
    taken
}

/// The clusters of machines that do anything at all, as far as they begin in one way and keep messages in order.
fn clusters() -> Vec<Cluster<orders::Anything, orders::All>> {
    let has_names = |seed: &u64| !(seed / 16).is_multiple_of(3);
    let all = (0..96).filter(has_names).map(orders::cluster);
    all.filter(|cluster| cluster.initial().len() == 1).collect()
}

/// Whatever is under way: a step has one name, and by their names the same steps lead to the same state.
#[test]
fn every_way_has_names_by_which_it_is_taken_again() {
    let (clusters, mut kinds) = (clusters(), BTreeSet::new());
    assert!(clusters.len() > 40, "{}", clusters.len());
    for (seed, cluster) in (0..).zip(&clusters) {
        let mut walk = cluster.walk();
        let taken = wander(&mut walk, &mut Rng::new(seed));
        let mut again = cluster.walk();
        taken.iter().for_each(|step| again.take(step).unwrap());
        assert_eq!(again.lines(), walk.lines());
        assert_eq!(format!("{:?}", again.state()), format!("{:?}", walk.state()));
        let kind = |step: &Step| format!("{:?}", step.what).split('(').next().unwrap().to_owned();
        kinds.extend(taken.iter().map(kind));
    }
    let expected = ["Arrive", "Ask", "Crash", "Drop", "Fire", "Start", "Sync"];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// Where an arrow begins and ends.
type Ends = (Option<usize>, Option<usize>);

/// A picture as data: kind and text of its events, and the events that its arrows join.
fn picture(page: &str) -> (Vec<(String, String)>, Vec<Ends>) {
    let data = page.split_once("id=\"run\">").and_then(|(_, rest)| rest.split_once("</script>"));
    let json: Value = serde_json::from_str(data.expect("a page has data").0).expect("JSON");
    assert_eq!(json["steps"], true);
    let list = |name: &str| json[name].as_array().expect("a list").clone();
    let number = |value: &Value| value.as_i64().expect("a number");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let kind = |event: &Value| text(&json["kinds"][number(&event[3]) as usize]);
    let events = list("events").iter().map(|event| (kind(event), text(&event[4]))).collect();
    let end = |value: &Value| usize::try_from(number(value)).ok();
    (events, list("arrows").iter().map(|arrow| (end(&arrow[0]), end(&arrow[1]))).collect())
}

/// Each arrival has an arrow from where it was sent, and what has no end is still on its way.
#[test]
fn arrows_join_what_was_sent_and_what_arrived() {
    let mut seen = BTreeSet::new();
    for (seed, cluster) in (0..).zip(&clusters()) {
        let mut walk = cluster.walk();
        let begun = walk.state().in_flight();
        walk.keep_diagram(10_000);
        let taken = wander(&mut walk, &mut Rng::new(seed));
        let (events, arrows) = picture(&walk.diagram("a test"));
        let mut ended = BTreeSet::new();
        for (from, to) in &arrows {
            let Some(to) = to else { continue };
            assert!(ended.insert(*to), "seed {seed}: one arrow to each");
            let arrived = &events[*to];
            assert!(["message", "dropped", "lost"].contains(&arrived.0.as_str()), "{arrived:?}");
            let Some(from) = from else { continue };
            assert!(from < to && events[*from].0 == "sent");
            assert!(arrived.0 != "message" || arrived.1.contains(&events[*from].1));
        }
        let arrives = |step: &&Step| matches!(step.what, Named::Arrive(..));
        let heard =
            |kinds: &[&str]| events.iter().filter(|(kind, _)| kinds.contains(&&**kind)).count();
        assert_eq!(heard(&["message", "up", "down"]), taken.iter().filter(arrives).count());
        // Only what was on its way before has no beginning, and only what is on its way has no end.
        assert!(
            arrows.iter().filter(|(from, _)| from.is_none()).count() <= begun + heard(&["lost"])
        );
        assert!(arrows.iter().filter(|(_, to)| to.is_none()).count() <= walk.state().in_flight());
        seen.extend(events.into_iter().map(|(kind, _)| kind));
    }
    for kind in
        "sent message dropped lost request reply timer durable crash boot start down up".split(' ')
    {
        assert!(seen.contains(kind), "no {kind} in {seen:?}");
    }
}

#[test]
fn what_a_step_changed_is_shown_and_nothing_is_kept_unasked() {
    let cluster = tally(false);
    let mut walk = cluster.walk();
    assert!(picture(&walk.diagram("none")).0.is_empty());
    walk.keep_diagram(10);
    walk.take(&step(Named::Ask(ClientId(0)))).unwrap();
    let page = walk.diagram("a test");
    assert!(page.contains("1 steps: all 1 events."), "the answer waits for the sync");
    assert!(page.contains("Tally { total: 5"), "{page}");
}
