//! The picture: one file that needs nothing else. The moments are in it as JSON, and a script in it draws what is in view.

use std::collections::BTreeMap;
use std::fmt::Write;

use ombak_base::Tick;

use super::arrows::arrows;
use super::{Diagram, Moment, Of};

/// With places for what it is about.
const PAGE: &str = include_str!("page/page.html");
/// One script in three files: the run and where things are, how they are drawn, and what a reader can do.
const SCRIPT: &str = concat!(
    include_str!("page/run.js"),
    include_str!("page/draw.js"),
    include_str!("page/hands.js")
);

impl Diagram {
    /// The whole page. `nodes` are all there are, and `now` is where the run ends.
    pub fn page(&self, title: &str, of: Of, nodes: usize, now: u64) -> String {
        let parts = [
            ("{title}", escape(title)),
            ("{title}", escape(title)),
            ("{told}", escape(&self.told(of, now))),
            ("{run}", self.json(of, nodes, now)),
            ("{script}", SCRIPT.to_owned()),
        ];
        fill(PAGE, &parts)
    }

    /// What is shown, and of how much.
    fn told(&self, of: Of, now: u64) -> String {
        let (kept, all) = (self.moments.len() as u64, self.count);
        let shown = if kept < all {
            format!("the last {} of {} events", thousands(kept), thousands(all))
        } else {
            format!("all {} events", thousands(all))
        };
        match of {
            Of::Seed(seed) => format!("Seed {seed}: {shown}, up to {:?}.", Tick(now)),
            Of::Steps => format!("{} steps: {shown}.", thousands(now)),
        }
    }

    fn json(&self, of: Of, nodes: usize, now: u64) -> String {
        let moments = self.kept();
        let mut kinds = BTreeMap::new();
        for moment in &moments {
            let next = kinds.len();
            kinds.entry(moment.kind).or_insert(next);
        }
        let mut names: Vec<_> = kinds.iter().map(|(name, number)| (*number, *name)).collect();
        names.sort_unstable();
        let names: Vec<_> = names.iter().map(|(_, name)| quote(name)).collect();
        let events: Vec<_> =
            moments.iter().map(|moment| event(moment, kinds[moment.kind])).collect();
        let arrows: Vec<_> = arrows(&moments)
            .iter()
            .map(|arrow| {
                let name = arrow.name;
                let (from, to) = (place(arrow.from), place(arrow.to));
                let ends = [name.from, name.to]
                    .map(|end| format!("{},{}", end.node.0, end.shard.0))
                    .join(",");
                format!("[{from},{to},{ends},{},{}]", name.sent.at, name.sent.n)
            })
            .collect();
        format!(
            "{{\"nodes\":{nodes},\"end\":{now},\"steps\":{},\"leftOut\":{},\"early\":{},\n\"kinds\":[{}],\n\"events\":[\n{}\n],\n\"arrows\":[\n{}\n]}}",
            of == Of::Steps,
            self.count - self.moments.len() as u64,
            self.faults.len(),
            names.join(","),
            events.join(",\n"),
            arrows.join(",\n"),
        )
    }
}

/// A place in a list; -1 for none.
fn place(at: Option<usize>) -> i64 {
    at.map_or(-1, |at| at as i64)
}

fn event(moment: &Moment, kind: usize) -> String {
    let node = moment.node.map_or(-1, |node| i64::from(node.0));
    let shard = moment.shard.map_or(-1, |shard| i64::from(shard.0));
    let texts = [&moment.text, &moment.state.now, &moment.state.was].map(|text| quote(text));
    format!("[{},{node},{shard},{kind},{}]", moment.at, texts.join(","))
}

/// Puts each part into its place. What is in a part is never taken for a place.
fn fill(page: &str, parts: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = page;
    for (name, text) in parts {
        let (before, after) = rest.split_once(name).unwrap_or((rest, ""));
        out.extend([before, text]);
        rest = after;
    }
    out + rest
}

/// Text that cannot be taken for markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A JSON string that cannot end the script which it stands in.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests;
