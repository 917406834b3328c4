//! Where we answer otherwise than Riak, on purpose.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const DIFFERENCES: &str = include_str!("../../golden/differences.jsonl");

/// The field for lists that are longer.
const ALSO: &str = "also_ours";

/// All of them, by face and name.
pub struct Differences(BTreeMap<(String, String), Value>);

impl Differences {
    pub fn load() -> Differences {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let entry = |difference: Value| {
            assert!(!text(&difference["why"]).is_empty());
            ((text(&difference["face"]), text(&difference["name"])), difference)
        };
        Differences(super::exchanges(DIFFERENCES).into_iter().map(entry).collect())
    }

    /// Compares both answers with what is written down about them. `false`: the exchange is no difference.
    ///
    /// `code` is an HTTP status or a message's code.
    pub fn compare(
        &mut self,
        (face, name): (&str, &str),
        riaks: (u64, String),
        ours: (u64, String),
    ) -> bool {
        let key = (face.into(), name.into());
        if self.0.get(&key).is_none_or(|difference| difference.get(ALSO).is_some()) {
            return false;
        }
        let difference = self.0.remove(&key).unwrap();
        for (whose, (code, text)) in [("riak", riaks), ("ours", ours)] {
            let wanted = &difference[whose];
            assert_eq!(wanted["code"].as_u64(), Some(code), "{face} {name}, {whose}: {text}");
            let part = wanted["text"].as_str().unwrap();
            let fits = if part.is_empty() { text.is_empty() } else { text.contains(part) };
            assert!(fits, "{face} {name}, {whose}: {text:?}");
        }
        true
    }

    /// What a list of ours has and Riak's has not.
    pub fn also_ours(&mut self, face: &str, name: &str) -> BTreeSet<String> {
        let difference = self.0.remove(&(face.into(), name.into())).unwrap_or_default();
        serde_json::from_value(difference[ALSO].clone()).unwrap_or_default()
    }

    /// Every difference was seen.
    pub fn check_all_seen(&self, face: &str) {
        let left: Vec<_> = self.0.keys().filter(|(of, _)| of == face).collect();
        assert!(left.is_empty(), "not among the exchanges: {left:?}");
    }
}
