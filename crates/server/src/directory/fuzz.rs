//! What any bytes at all in `node.toml` must satisfy.

use super::identity::{Identity, format_of};

/// An identity survives being written again.
pub fn node_toml(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let _ = format_of(&text);
    if let Ok(identity) = Identity::from_text(&text) {
        let again = identity.to_text();
        assert!(format_of(&again).is_ok());
        assert_eq!(Identity::from_text(&again), Ok(identity));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes(input in prop::collection::vec(any::<u8>(), 0..200)) {
            node_toml(&input);
        }

        #[test]
        fn likely_lines(
            values in prop::collection::vec("\"?[-+a-f0-9@ =#\r\"\u{e9}]{0,8}\"?", 6),
            numbers in any::<bool>(),
            extra in "(# ?[a-z]{0,3}\n|[a-z]{0,5}=?\n){0,3}",
        ) {
            let names = ["format", "node", "ring_size", "members", "cluster", "directory"];
            let mut text = extra;
            for (name, value) in names.into_iter().zip(values) {
                let number = numbers && !matches!(name, "node" | "members");
                let value = if number { "\"64\"" } else { &value };
                text.push_str(&format!("{name} = {value}\n"));
            }
            node_toml(text.as_bytes());
        }
    }
}
