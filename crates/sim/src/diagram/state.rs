//! What a step changed, told from the machine's `Debug` text alone.
//!
//! A machine's text has hundreds of fields, of which a step changes a few. So both texts are taken apart at their
//! commas, and what one has and the other lacks is the change. Each part is shown below the fields that it is in:
//! `peers.n1.links: 2`.

use std::collections::BTreeMap;

/// What is in a machine now, and what was there before in its place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    pub now: String,
    pub was: String,
}

/// The parts of each text that the other has not, in order, one a line; of each about `max` characters.
pub fn difference(was: &str, now: &str, max: usize) -> State {
    if was.is_empty() {
        return State { now: bounded([now.to_owned()], max), was: String::new() };
    }
    let (of_was, of_now) = middles(was, now);
    let (of_was, of_now) = (parts(was, of_was), parts(now, of_now));
    let told = |text, these, others| bounded(with_paths(text, lacking(these, others)), max);
    State { now: told(now, &of_now, &of_was), was: told(was, &of_was, &of_now) }
}

/// Both without the parts that they begin and end with alike. Most steps change little, and this is the cheap way to
/// that little.
fn middles<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    let head = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    // Back to where a part begins: after a comma and a space, which are never within a character.
    let head = a[..a.floor_char_boundary(head)].rfind(", ").map_or(0, |at| at + 2);
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a.bytes().rev().zip(b.bytes().rev()).take_while(|(a, b)| a == b).count();
    let from = a.ceil_char_boundary(a.len() - tail);
    let tail = a[from..].find(", ").map_or(0, |at| a.len() - from - at);
    (&a[..a.len() - tail], &b[..b.len() - tail])
}

/// What stands between two commas, and in which fields: the same text elsewhere is something else.
struct Part<'a> {
    at: usize,
    fields: u64,
    text: &'a str,
}

fn parts<'a>(text: &'a str, middle: &'a str) -> Vec<Part<'a>> {
    let mut at = middle.as_ptr() as usize - text.as_ptr() as usize;
    let mut path = Path::new(text);
    let part = |text: &'a str| {
        path.go_to(at);
        let part = Part { at, fields: path.fields(), text };
        at += text.len() + 2;
        part
    };
    middle.split(", ").map(part).collect()
}

/// Those that the others have not, or not as often; and where they are.
fn lacking<'a>(these: &[Part<'a>], others: &[Part<'_>]) -> Vec<(usize, &'a str)> {
    let mut counts: BTreeMap<(u64, &str), usize> = BTreeMap::new();
    others.iter().for_each(|part| *counts.entry((part.fields, part.text)).or_default() += 1);
    let lacks = |part: &&Part<'a>| match counts.get_mut(&(part.fields, part.text)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    these.iter().filter(lacks).map(|part| (part.at, part.text)).collect()
}

/// Each part below its fields, if those are not the ones of the part before. Made one by one: only some are shown.
fn with_paths<'a>(
    text: &'a str,
    parts: Vec<(usize, &'a str)>,
) -> impl Iterator<Item = String> + use<'a> {
    let mut path = Path::new(text);
    let mut before = String::new();
    parts.into_iter().filter(|(_, part)| !part.is_empty()).map(move |(at, part)| {
        path.go_to(at);
        let names = path.names.iter().map(|(name, _)| *name).filter(|name| !name.is_empty());
        let names: String = names.flat_map(|name| [name, "."]).collect();
        let is_same = !names.is_empty() && names == before;
        let told = format!("{}{}", if is_same { "  ." } else { &names }, without_closers(part));
        before = names;
        told
    })
}

/// A part at the end of a list or a struct ends with brackets that are not its own.
fn without_closers(part: &str) -> &str {
    let mut part = part.trim_end();
    let count = |part: &str, any: [char; 3]| part.matches(any).count();
    while part.ends_with(['}', ']', ')'])
        && count(part, ['}', ']', ')']) > count(part, ['{', '[', '('])
    {
        part = part[..part.len() - 1].trim_end();
    }
    part
}

/// Walks through a text and knows which fields it is in.
struct Path<'a> {
    text: &'a str,
    at: usize,
    /// Where the part begins that it is in.
    part: usize,
    /// One for each bracket that is open, empty where the field has no name; and the fingerprint of all up to it.
    names: Vec<(&'a str, u64)>,
    quoted: bool,
}

impl<'a> Path<'a> {
    fn new(text: &'a str) -> Path<'a> {
        Path { text, at: 0, part: 0, names: Vec::new(), quoted: false }
    }

    /// The fingerprint (FNV-1a) of the fields that it is in.
    fn fields(&self) -> u64 {
        self.names.last().map_or(0xcbf2_9ce4_8422_2325, |(_, fields)| *fields)
    }

    fn enter(&mut self, name: &'a str) {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let fields = name.bytes().chain([b'.']).fold(self.fields(), mix);
        self.names.push((name, fields));
    }

    fn go_to(&mut self, end: usize) {
        let bytes = self.text.as_bytes();
        while self.at < end {
            let byte = bytes[self.at];
            match byte {
                b'\\' if self.quoted => self.at += 1,
                b'"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                b'{' | b'[' | b'(' => {
                    let label = self.text.get(self.part..self.at).unwrap_or_default();
                    self.enter(label.split_once(": ").map_or("", |(name, _)| name.trim()));
                    self.part = self.at + 1;
                }
                b'}' | b']' | b')' => {
                    self.names.pop();
                    self.part = self.at + 1;
                }
                b',' => self.part = self.at + 1,
                _ => {}
            }
            self.at += 1;
        }
    }
}

fn bounded(parts: impl IntoIterator<Item = String>, max: usize) -> String {
    let mut text = String::new();
    let mut left = max;
    for part in parts {
        let line = if text.is_empty() { "" } else { "\n" };
        if let Some((end, _)) = part.char_indices().nth(left) {
            text.extend([line, &part[..end], "…"]);
            return text;
        }
        left -= part.chars().count();
        text.extend([line, &part]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(was: &str, now: &str) -> (String, String) {
        let State { now, was } = difference(was, now, 40);
        (was, now)
    }

    fn told(was: &str, now: &str) -> (String, String) {
        (was.to_owned(), now.to_owned())
    }

    #[test]
    fn only_what_changed_is_told() {
        let was = "Vnode { acks: 1, heard: [n1], name: \"é\", last: 7 }";
        let now = "Vnode { acks: 2, heard: [n1, n2], name: \"é\", last: 7 }";
        let expected =
            told("Vnode { acks: 1\nheard: [n1]", "Vnode { acks: 2\nheard: [n1\nheard.n2");
        assert_eq!(change(was, now), expected);
        assert_eq!(change(now, now), told("", ""));
    }

    #[test]
    fn a_part_is_told_with_the_fields_that_it_is_in() {
        let was = "S { a: [1, 2], b: {n1: P { s: \"} \\\" {\", x: 1 }, n2: P { x: 1 } }, c: 1 }";
        let now =
            "S { a: [1, 2], b: {n1: P { s: \"} \\\" {\", x: 1 }, n2: P { y: 9, x: 3 } }, c: 1 }";
        assert_eq!(change(was, now), told("b.n2: P { x: 1 }", "b.n2: P { y: 9\nb.n2.x: 3"));
        let now = was.replace("{\", x: 1", "{\", x: 2");
        assert_eq!(change(was, &now), told("b.n1.x: 1", "b.n1.x: 2"));
    }

    #[test]
    fn the_same_text_in_another_field_is_not_taken_for_it() {
        let was = "{p2: V { next: 1, x: 5 }, p4: V { next: 1, x: 5 }, p6: V { next: 1, x: 6 }}";
        let now = "{p2: V { next: 1, x: 6 }, p4: V { next: 2, x: 5 }, p6: V { next: 1, x: 5 }}";
        let all = (difference(was, now, 400).was, difference(was, now, 400).now);
        assert_eq!(
            all,
            told("p2.x: 5\np4: V { next: 1\np6.x: 6", "p2.x: 6\np4: V { next: 2\np6.x: 5")
        );
    }

    #[test]
    fn parts_that_only_moved_are_not_told() {
        assert_eq!(change("[a, b, c, d]", "[a, d0, b, c, d]"), told("", "d0"));
    }

    #[test]
    fn characters_of_many_bytes_that_begin_or_end_alike_are_not_torn() {
        for (was, now) in [("é", "è"), ("ab, é", "ab, è, é"), ("\u{ea}", "\u{1fa}"), ("a", "aé")]
        {
            change(was, now);
            change(now, was);
        }
    }

    #[test]
    fn the_first_sight_is_the_beginning() {
        assert_eq!(change("", &"x".repeat(100)), told("", &("x".repeat(40) + "…")));
    }

    #[test]
    fn changes_are_bounded() {
        let many =
            |word: &str| (0..50).map(|n| format!("{word}{n}")).collect::<Vec<_>>().join(", ");
        let State { now, was } = difference(&many("old"), &many("new"), 40);
        assert!(now.chars().count() < 60 && was.chars().count() < 60, "{now} {was}");
        assert!(now.ends_with('…') && was.ends_with('…'));
    }
}
