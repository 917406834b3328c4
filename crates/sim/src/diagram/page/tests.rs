use ombak_base::{NodeId, ShardId};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const HOSTILE: [&str; 6] = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"quoted\\\" \u{2028}\u{2029}\u{0}\u{1f}\u{85}\r\n\t",
    "{run}{script}{title}{told}",
    "]]>&amp;&#x3c;",
    "'\"><img src=x onerror=alert(1)>",
];

fn page_of(text: &str) -> String {
    let mut diagram = Diagram::new(10);
    let say = format_args!("{text}");
    diagram.note(7, Some(NodeId(1)), Some(ShardId(0)), "message", &say);
    diagram.stepped(ombak_base::Address { node: NodeId(1), shard: ShardId(0) }, &say);
    diagram.page(text, Of::Seed(42), 3, 9)
}

/// What stands in the page as data.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"run\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

/// Every tag that is opened is closed, in order.
fn is_balanced(page: &str) -> bool {
    let mut open = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((tag, after)) = after.split_once('>') else { return false };
        rest = after;
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        match name {
            "!doctype" | "meta" | "input" => {}
            // What is in these is no markup.
            "script" | "style" => {
                let Some((_, after)) = rest.split_once(&format!("</{name}>")) else { return false };
                rest = after;
            }
            _ => match name.strip_prefix('/') {
                Some(name) if open.pop() != Some(name) => return false,
                Some(_) => {}
                None => open.push(name),
            },
        }
    }
    open.is_empty()
}

#[test]
fn a_page_is_whole_and_needs_nothing_from_elsewhere() {
    let page = page_of("quiet");
    assert!(is_balanced(&page));
    assert!(!is_balanced("<p><b></p></b>") && !is_balanced("<p>"));
    // A name for SVG, which nobody fetches.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for word in ["http:", "https:", "src=", "href=", "@import", "fetch(", "import("] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.replace("url(#hatch)", "").find("url(").is_none());
    assert!(page.contains("default-src 'none'"));
    for place in ["{title}", "{told}", "{run}", "{script}"] {
        assert!(PAGE.contains(place) && !page.contains(place), "{place}");
    }
}

#[test]
fn what_is_shown_is_text_and_stays_text() {
    for text in HOSTILE {
        let page = page_of(text);
        assert!(is_balanced(&page), "{text:?}");
        assert_eq!(page.matches("<script").count(), 2, "{text:?}");
        assert_eq!(page.matches("</script>").count(), 2, "{text:?}");
        assert!(!page.contains("<img") && !page.contains("<!--"), "{text:?}");
        let event = data(&page)["events"][0].clone();
        assert_eq!((event[4].as_str(), event[5].as_str()), (Some(text), Some(text)));
    }
}

#[test]
fn a_page_says_what_it_leaves_out() {
    let mut diagram = Diagram::new(1_000);
    (0..1_234_567).for_each(|n| diagram.note(n, None, None, "heal", &()));
    let page = diagram.page("t", Of::Seed(42), 3, 2_000_000);
    let told = "Seed 42: the last 1,000 of 1,234,567 events, up to 2.000000s.";
    assert!(page.contains(told));
    assert!(page_of("t").contains("Seed 42: all 1 events, up to 0.000009s."));
}

/// A way that was explored has no time: its page counts steps.
#[test]
fn a_page_of_steps_says_so() {
    let mut diagram = Diagram::new(10);
    (1..=3).for_each(|step| diagram.note(step, Some(NodeId(0)), None, "reset", &()));
    let page = diagram.page("t", Of::Steps, 2, 3);
    assert!(page.contains("3 steps: all 3 events."));
    assert_eq!(data(&page)["steps"], true);
    assert_eq!(data(&page_of("t"))["steps"], false);
}

#[test]
fn nothing_is_a_page_too() {
    let page = Diagram::new(0).page("", Of::Seed(1), 0, 0);
    assert!(is_balanced(&page));
    assert_eq!(data(&page)["events"], Value::Array(Vec::new()));
}

#[test]
fn numbers_are_grouped() {
    let all = [0, 12, 999, 1_000, 65_536, 1_000_000].map(thousands);
    assert_eq!(all, ["0", "12", "999", "1,000", "65,536", "1,000,000"]);
}

proptest! {
    #[test]
    fn every_text_is_a_json_string(text: String) {
        let quoted = quote(&text);
        let is_safe = !quoted.contains(['<', '>', '&', '\n', '\u{2028}', '\0']);
        prop_assert!(is_safe);
        prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
    }
}
