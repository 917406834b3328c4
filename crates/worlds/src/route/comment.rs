//! What a step is, short enough to stand behind it in a line.

/// In characters.
const LENGTH_MAX: usize = 100;
/// Longer numbers are names that nobody reads.
const DIGITS_MAX: usize = 9;

/// A step in words, without what is in structs, bytes and long numbers: `n2 hears from n0: Ask(1, …, Merge(…))`.
pub(super) fn comment(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => {
                out.truncate(out.trim_end_matches('b').len());
                string_end(rest)
            }
            '{' => {
                let name = out.trim_end().trim_end_matches(|c: char| c.is_alphanumeric());
                out.truncate(name.len());
                struct_end(rest)
            }
            '0'..='9' => rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()),
            _ => 0,
        };
        if end == 0 || first.is_ascii_digit() && end <= DIGITS_MAX {
            let end = end.max(first.len_utf8());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            out.push('…');
            rest = &rest[end..];
        }
    }
    cut(&out.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Where a string ends that begins here.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Where the braces end that begin here.
fn struct_end(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        at += match c {
            '"' => string_end(&text[at..]),
            c => c.len_utf8(),
        };
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// What is left out several times in a row is left out once.
fn cut(line: &str) -> String {
    let mut line = line.to_owned();
    while line.contains("…, …") {
        line = line.replace("…, …", "…");
    }
    match line.char_indices().nth(LENGTH_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::comment;

    #[test]
    fn only_what_is_read_is_left() {
        for (line, short) in [
            ("n0 syncs", "n0 syncs"),
            (
                "c0 asks n0: Kv(Put(PutOp { key: b\"}\", in: In { a: 1 } }))",
                "c0 asks n0: Kv(Put(…))",
            ),
            (
                "n2 hears from n0: Ask(1, Header { a: 1 }, 1349419854, Merge(b\"\\\"\", None))",
                "n2 hears from n0: Ask(1, …, Merge(…, None))",
            ),
            ("Told(4294967297, Same(true))", "Told(…, Same(true))"),
            ("an open { or \" ends", "an …"),
            ("a\n b\u{e9}", "a b\u{e9}"),
        ] {
            assert_eq!(comment(line), short);
        }
        assert_eq!(comment(&"x".repeat(200)).chars().count(), super::LENGTH_MAX + 1);
    }
}
