use super::*;

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

/// What clients in other languages write and read.
#[test]
fn the_json_is_golden() {
    let lock = Ask::Lock {
        path: vec!["accounts".into(), "17".into()],
        mode: Mode::PR,
        wait_ms: Some(0),
        under: Some(1),
        notify: true,
    };
    assert_eq!(
        json(&lock),
        r#"{"do":"lock","path":["accounts","17"],"mode":"PR","wait_ms":0,"under":1,"notify":true}"#
    );
    let short: Ask = serde_json::from_str(r#"{"do":"lock","path":["a"],"mode":"EX"}"#).unwrap();
    let request = short.request().unwrap();
    assert!(matches!(request, locks::Request::Lock { wait: locks::Wait::Forever, .. }));
    assert_eq!(json(&Ask::Unlock { lock: 3, value: None }), r#"{"do":"unlock","lock":3}"#);
    let convert =
        Ask::Convert { lock: 3, mode: Mode::PW, wait_ms: None, value: Some(base64(b"v")) };
    assert_eq!(json(&convert), r#"{"do":"convert","lock":3,"mode":"PW","value":"dg=="}"#);
    assert_eq!(json(&Ask::Cancel { lock: 3 }), r#"{"do":"cancel","lock":3}"#);
    let granted =
        Answer::Granted { mode: Mode::EX, token: 9, value: String::new(), value_valid: true };
    assert_eq!(
        json(&granted),
        r#"{"answer":"granted","mode":"EX","token":9,"value":"","value_valid":true}"#
    );
    assert_eq!(json(&Answer::Waiting), r#"{"answer":"waiting"}"#);
    assert_eq!(
        json(&Answer::from(locks::Answer::Refused(Refused::WouldWait))),
        r#"{"answer":"refused","why":"would-wait","message":"somebody is in the way: try again, or wait"}"#
    );
    assert_eq!(json(&SessionAnswer::Live), r#"{"session":"live"}"#);
    let blocking = Event::Blocking { lock: 2, wanted: Mode::EX };
    assert_eq!(json(&blocking), r#"{"event":"blocking","lock":2,"wanted":"EX"}"#);
}

#[test]
fn what_cannot_be_meant_is_said() {
    let long = Ask::Unlock { lock: 1, value: Some(base64(&[0; 65])) };
    assert!(long.request().unwrap_err().to_string().contains("64 bytes"));
    let wrong = Ask::Unlock { lock: 1, value: Some("!".into()) };
    assert!(wrong.request().is_err());
    let nowhere =
        Ask::Lock { path: Vec::new(), mode: Mode::EX, wait_ms: None, under: None, notify: false };
    assert!(nowhere.request().is_err());
    assert!(serde_json::from_str::<Ask>(r#"{"do":"lock","path":["a"],"mode":"XX"}"#).is_err());
    assert!(serde_json::from_str::<Ask>(r#"{"do":"unlock","lock":1,"extra":1}"#).is_err());
}

#[test]
fn a_session_is_32_digits() {
    let session = SessionId(0xabc);
    assert_eq!(read_session(&session_text(session)), Some(session));
    for text in ["", "abc", "+0000000000000000000000000000000", "g0000000000000000000000000000000"]
    {
        assert_eq!(read_session(text), None, "{text}");
    }
}
