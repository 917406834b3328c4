//! What any bytes at all must satisfy where a node reads what clients ask of locks.
//!
//! The fuzz target in `fuzz/` and the property tests here call the same functions. They panic where a promise is broken.

use ombak_base::Wire;
use ombak_paxos::locks::{Command, SessionId};

use crate::wire::{Ask, read_session, session_text};

/// The body of a request: what is read means the same when it is written again, and what it asks of the lock manager survives the log.
/// What cannot be meant is refused in one line.
pub fn request(input: &[u8]) {
    let Ok(ask) = serde_json::from_slice::<Ask>(input) else { return };
    let again = serde_json::to_vec(&ask).unwrap_or_default();
    assert_eq!(serde_json::from_slice::<Ask>(&again).ok().as_ref(), Some(&ask));
    match ask.request() {
        Ok(request) => {
            let (session, number, have) = (SessionId(1), 2, 1.into());
            let command = Command::Call { session, number, have, request };
            let mut bytes = Vec::new();
            command.encode(&mut bytes);
            assert_eq!(Command::decode(bytes.into()), Ok(command));
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}

/// A session as it stands in a path: only one text is each session's, but for capitals.
pub fn session(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(session) = read_session(text) {
        assert_eq!(session_text(session), text.to_ascii_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// JSON that is nearly a request, or is one.
    fn likely() -> impl Strategy<Value = String> {
        let name = prop_oneof![Just("a".to_string()), "[ -~]{0,4}", Just("x".repeat(300))];
        let path = vec(name, 0..4).prop_map(|names| format!("{names:?}"));
        let number = prop_oneof![Just("1".to_string()), "-?[0-9]{1,20}", Just("null".into())];
        let value =
            prop_oneof![Just("\"dg==\"".to_string()), Just("\"!\"".into()), Just("3".into())];
        let mode = prop::sample::select(vec!["NL", "CR", "CW", "PR", "PW", "EX", "XX"]);
        (0..5u8, path, number, value, mode).prop_map(|(kind, path, number, value, mode)| match kind {
            0 => format!(r#"{{"do":"lock","path":{path},"mode":"{mode}","wait_ms":{number},"under":{number}}}"#),
            1 => format!(r#"{{"do":"convert","lock":{number},"mode":"{mode}","value":{value}}}"#),
            2 => format!(r#"{{"do":"unlock","lock":{number},"value":{value}}}"#),
            3 => format!(r#"{{"do":"cancel","lock":{number}}}"#),
            _ => format!(r#"{{"do":"lock","path":{path},"mode":"{mode}","wait_ms":0,"notify":true}}"#),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_as_a_request(input in vec(any::<u8>(), 0..100)) {
            request(&input);
        }

        #[test]
        fn likely_requests(text in likely(), at: prop::sample::Index, byte: Option<u8>) {
            let mut input = text.into_bytes();
            if let Some(byte) = byte {
                let at = at.index(input.len());
                input[at] = byte;
            }
            request(&input);
        }

        #[test]
        fn any_text_as_a_session(text in prop_oneof!["[0-9a-fA-F]{32}", "[0-9a-g+]{30,34}"]) {
            session(text.as_bytes());
        }
    }
}
