//! What any bytes at all must satisfy where the program reads what others wrote.
//!
//! The fuzz targets in `fuzz/` and the property tests here call the same functions. They panic where a promise is
//! broken.

use ureq::http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

use crate::config::{NodeOptions, template};
use crate::http_client::Answer;
use crate::object::siblings::Siblings;

/// The file of `ombak start --config`: options survive being written again, and an error is one line.
pub fn options_toml(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match NodeOptions::parse(&text) {
        Ok(options) => assert_eq!(NodeOptions::parse(&template(&options)), Ok(options)),
        Err(error) => assert!(error.starts_with("line ") && !error.contains('\n'), "{error}"),
    }
}

/// An answer with several values: the first line is its type, or the boundary in it, and the rest its body.
pub fn multipart(input: &[u8]) {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, body) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    check_multipart(line, body.to_vec());
    check_multipart(&[b"multipart/mixed; boundary=", line].concat(), body.to_vec());
}

fn check_multipart(content_type: &[u8], body: Vec<u8>) {
    let Ok(content_type) = HeaderValue::from_bytes(content_type) else { return };
    let length = body.len();
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
    if let Ok(siblings) = Siblings::parse(&Answer { status: 300, headers, body }) {
        assert!(siblings.len() <= length);
        assert_eq!(siblings.json()["siblings"].as_array().map(Vec::len), Some(siblings.len()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes(input in prop::collection::vec(any::<u8>(), 0..100)) {
            options_toml(&input);
            multipart(&input);
        }

        #[test]
        fn likely_options(
            input in "((dir|name|pb|members|ring_size|backend|shards|insecure|log|x|\\[a\\])( = (\"[a\\\\n\u{e9}=:0\"]{0,4}\"|\\[(\"a=b:1\",? ?){0,2}\\]|'''\n.'''|-?[0-9]{1,6}|true|\"log\"|\"btree\"|\"memory\"))?[ #]?\n){0,5}",
        ) {
            options_toml(input.as_bytes());
        }

        #[test]
        fn likely_multiparts(
            kind in "multipart/mixed; ?boundary=\"?a{0,2}\"?",
            body in "(\r\n|--|--a|--aa|--aa--|ETag: x|:|Content-Type: t|\r\n\r\n|\r\n--a|\u{e9}){0,14}",
        ) {
            multipart(format!("{kind}\n{body}").as_bytes());
        }
    }
}
