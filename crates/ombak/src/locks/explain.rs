//! The wait-for graph as a picture: under each session those that wait for it.
//!
//! ```text
//! db1:4711 backup · at work
//! ├─ db2:99 report · wants EX on printer, for 3.0 s
//! │  └─ db3:7 print · wants PR on paper, for 1.2 s
//! └─ db4:8 audit · wants EX on printer, for 2.0 s
//! ```
//!
//! A session that waits for several is shown under the first of them, and named under the others.

use std::collections::{BTreeMap, BTreeSet};

use ombak_locks::wire::{LockReport, Locks, WaitReport};

use super::who;
use crate::duration::shown;

/// What a session waits for.
struct Wait<'a> {
    lock: &'a LockReport,
    on: String,
}

struct Graph<'a> {
    locks: &'a Locks,
    /// Who waits for a session directly, in the order of the queues.
    behind: BTreeMap<&'a str, Vec<&'a str>>,
    waits: BTreeMap<&'a str, Vec<Wait<'a>>>,
}

/// Of all that is locked; or of one name, with all that those who wait for it wait for.
pub fn picture(locks: &Locks, name: Option<&str>) -> String {
    let mut graph = Graph::of(locks);
    let mut edges: Vec<&WaitReport> = locks.waits_for.iter().collect();
    if let Some(name) = name {
        let kept = graph.up_from(name);
        edges.retain(|edge| kept.contains(edge.waiter.as_str()));
    }
    let waiters: BTreeSet<&str> = edges.iter().map(|edge| edge.waiter.as_str()).collect();
    edges.into_iter().for_each(|edge| graph.add(edge));
    let mut lines = Vec::new();
    let mut drawn = BTreeSet::new();
    for root in graph.behind.keys().filter(|id| !waiters.contains(**id)) {
        lines.push(graph.line(root));
        graph.draw(root, "", &mut drawn, &mut lines);
    }
    if lines.is_empty() {
        lines.push(
            name.map_or("nobody waits for anybody".into(), |name| {
                format!("nobody waits for {name}")
            }),
        );
    }
    if locks.waits_cut {
        lines.push(format!(
            "and more: of who waits for whom, the node tells {}",
            locks.waits_for.len()
        ));
    }
    lines.join("\n")
}

impl<'a> Graph<'a> {
    fn of(locks: &'a Locks) -> Graph<'a> {
        let mut graph = Graph { locks, behind: BTreeMap::new(), waits: BTreeMap::new() };
        for resource in &locks.resources {
            for lock in &resource.waiters {
                let wait = Wait { lock, on: resource.path.join("/") };
                graph.waits.entry(&lock.session).or_default().push(wait);
            }
        }
        graph
    }

    fn add(&mut self, edge: &'a WaitReport) {
        let behind = self.behind.entry(edge.blocker.as_str()).or_default();
        if !behind.contains(&edge.waiter.as_str()) {
            behind.push(&edge.waiter);
        }
    }

    /// Who waits for a name, and whom those wait for, and so on.
    fn up_from(&self, name: &str) -> BTreeSet<&'a str> {
        let waits_for_it = |waits: &Vec<Wait<'_>>| waits.iter().any(|wait| wait.on == name);
        let first = self.waits.iter().filter(|(_, waits)| waits_for_it(waits)).map(|(id, _)| *id);
        let (mut found, mut next): (BTreeSet<&str>, Vec<&str>) = (BTreeSet::new(), first.collect());
        while let Some(id) = next.pop() {
            if found.insert(id) {
                let edges = self.locks.waits_for.iter().filter(|edge| edge.waiter == id);
                next.extend(edges.map(|edge| edge.blocker.as_str()));
            }
        }
        found
    }

    fn draw(&self, of: &str, indent: &str, drawn: &mut BTreeSet<&'a str>, lines: &mut Vec<String>) {
        let behind = self.behind.get(of).map_or(&[][..], Vec::as_slice);
        for (at, id) in behind.iter().enumerate() {
            let last = at + 1 == behind.len();
            let (branch, trunk) = if last { ("└─", "   ") } else { ("├─", "│  ") };
            let is_new = drawn.insert(id);
            let more = if is_new { "" } else { " (see above)" };
            lines.push(format!("{indent}{branch} {}{more}", self.line(id)));
            if is_new {
                self.draw(id, &format!("{indent}{trunk}"), drawn, lines);
            }
        }
    }

    fn line(&self, id: &str) -> String {
        let waits = self.waits.get(id).map_or(&[][..], Vec::as_slice);
        let each = |wait: &Wait<'_>| {
            let LockReport { mode, for_ms, .. } = wait.lock;
            format!("wants {mode:?} on {}, for {}", wait.on, shown(*for_ms))
        };
        let waits: Vec<String> = waits.iter().map(each).collect();
        let doing = if waits.is_empty() { "at work".into() } else { waits.join("; ") };
        format!("{} · {doing}", who(self.locks, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = r#"{
        "leader": "n1",
        "sessions": [
            {"id": "a", "about": "db1 backup", "left_ms": 9000}, {"id": "b", "about": "db2 report", "left_ms": 9000},
            {"id": "c", "about": "db3 print", "left_ms": 9000}, {"id": "d", "about": "db4 audit", "left_ms": 9000}
        ],
        "resources": [
            {"path": ["paper"], "value": "", "value_valid": true,
             "holders": [{"session": "b", "number": 1, "mode": "EX", "token": 2, "for_ms": 4000}],
             "waiters": [{"session": "c", "number": 1, "mode": "PR", "for_ms": 1200}]},
            {"path": ["printer"], "value": "", "value_valid": true,
             "holders": [{"session": "a", "number": 1, "mode": "EX", "token": 1, "for_ms": 5000}],
             "waiters": [{"session": "b", "number": 2, "mode": "EX", "for_ms": 3000},
                         {"session": "d", "number": 1, "mode": "EX", "for_ms": 2000}]}
        ],
        "waits_for": [
            {"waiter": "c", "blocker": "b"}, {"waiter": "b", "blocker": "a"}, {"waiter": "d", "blocker": "a"},
            {"waiter": "d", "blocker": "b"}
        ]
    }"#;

    #[test]
    fn who_waits_for_whom_is_drawn_once() {
        let locks: Locks = serde_json::from_str(LOCKS).unwrap();
        assert_eq!(
            picture(&locks, None),
            "db1 backup · at work\n\
             ├─ db2 report · wants EX on printer, for 3.0 s\n\
             │  ├─ db3 print · wants PR on paper, for 1.2 s\n\
             │  └─ db4 audit · wants EX on printer, for 2.0 s\n\
             └─ db4 audit · wants EX on printer, for 2.0 s (see above)"
        );
        let nobody = Locks { resources: Vec::new(), waits_for: Vec::new(), ..locks };
        assert_eq!(picture(&nobody, None), "nobody waits for anybody");
    }

    /// With all that they wait for on other names, and not who waits for them there.
    #[test]
    fn who_waits_for_one_name_is_drawn_with_the_reasons() {
        let locks: Locks = serde_json::from_str(LOCKS).unwrap();
        assert_eq!(
            picture(&locks, Some("paper")),
            "db1 backup · at work\n\
             └─ db2 report · wants EX on printer, for 3.0 s\n   \
                └─ db3 print · wants PR on paper, for 1.2 s"
        );
        let printer = picture(&locks, Some("printer"));
        assert!(!printer.contains("db3") && printer.contains("└─ db4"), "{printer}");
        assert_eq!(picture(&locks, Some("desk")), "nobody waits for desk");
    }

    #[test]
    fn what_the_node_has_cut_off_is_said() {
        let all: Locks = serde_json::from_str(LOCKS).unwrap();
        // All that is told is that c waits for b; what b waits for was cut off.
        let waits_for = all.waits_for[..1].to_vec();
        let cut = Locks { waits_for, waits_cut: true, ..all };
        assert_eq!(
            picture(&cut, None),
            "db2 report · wants EX on printer, for 3.0 s\n\
             └─ db3 print · wants PR on paper, for 1.2 s\n\
             and more: of who waits for whom, the node tells 1"
        );
    }
}
