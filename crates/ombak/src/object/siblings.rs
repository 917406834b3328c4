//! What a key holds: one value, or several concurrent ones in one multipart answer.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::error::CliError;
use crate::http_client::Answer;
use crate::output::{print_table, table};

use super::CONTEXT_HEADER;

/// Of each value, the list shows so much.
const PREVIEW_CHARS_MAX: usize = 40;
/// Headers of the transport, not of the object.
const TRANSPORT: [&str; 8] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
    "vary",
    "x-riak-vclock",
];

/// Concurrent values of one key.
pub struct Siblings {
    context: Option<String>,
    parts: Vec<Part>,
}

struct Part {
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The JSON of a key that has one value.
pub fn single(answer: &Answer) -> Value {
    let headers = answer.headers.iter();
    let headers = headers
        .filter(|(name, _)| !TRANSPORT.contains(&name.as_str()))
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let part = Part { headers, body: answer.body.clone() };
    json!({ "context": answer.header(CONTEXT_HEADER), "siblings": [part.json()] })
}

impl Siblings {
    /// Takes an answer with status 300 apart. The error says what is wrong with it.
    pub fn parse(answer: &Answer) -> Result<Siblings, &'static str> {
        let content_type = answer.header("Content-Type").unwrap_or_default();
        let boundary = boundary(content_type).ok_or("siblings without a multipart boundary")?;
        let parts = split(&answer.body, &boundary).ok_or("siblings in a broken multipart body")?;
        Ok(Siblings { context: answer.header(CONTEXT_HEADER).map(str::to_string), parts })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// The causal context of all of them.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// All of them, with their metadata.
    pub fn json(&self) -> Value {
        let parts: Vec<Value> = self.parts.iter().map(Part::json).collect();
        json!({ "context": self.context, "siblings": parts })
    }

    /// A list, to choose from.
    pub fn print(&self) -> Result<(), CliError> {
        let mut list = table(&["vtag", "last modified", "type", "bytes", "value"]);
        for part in &self.parts {
            list.add_row([
                part.vtag().to_string(),
                part.header("last-modified").to_string(),
                part.header("content-type").to_string(),
                part.body.len().to_string(),
                part.preview(),
            ]);
        }
        print_table(&list)
    }
}

impl Part {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or("", |(_, value)| value)
    }

    fn vtag(&self) -> &str {
        self.header("etag").trim_matches('"')
    }

    /// The value as text if it is text, else in base64.
    fn json(&self) -> Value {
        let headers = self.headers.iter();
        let headers: Map<String, Value> =
            headers.map(|(name, value)| (name.clone(), json!(value))).collect();
        let (name, value) = match std::str::from_utf8(&self.body) {
            Ok(text) => ("value", text.to_string()),
            Err(_) => ("value_base64", BASE64_STANDARD.encode(&self.body)),
        };
        json!({ "vtag": self.vtag(), "bytes": self.body.len(), name: value, "headers": headers })
    }

    fn preview(&self) -> String {
        let Ok(text) = std::str::from_utf8(&self.body) else { return "(binary)".into() };
        let mut preview: String = text
            .chars()
            .take(PREVIEW_CHARS_MAX)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if text.chars().nth(PREVIEW_CHARS_MAX).is_some() {
            preview.push('…');
        }
        preview
    }
}

fn boundary(content_type: &str) -> Option<String> {
    let parameters = content_type.strip_prefix("multipart/mixed")?;
    let mut parameters = parameters.split(';').map(str::trim);
    let boundary = parameters.find_map(|parameter| parameter.strip_prefix("boundary="))?;
    Some(boundary.trim_matches('"').to_string())
}

/// Everything between the delimiter lines; `None` if the last one is missing.
fn split(body: &[u8], boundary: &str) -> Option<Vec<Part>> {
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may stand at the very beginning.
    let body = [b"\r\n", body].concat();
    let mut rest = &body[find(&body, delimiter.as_bytes())? + delimiter.len()..];
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let end = find(rest, delimiter.as_bytes())?;
        parts.push(part(rest[..end].strip_prefix(b"\r\n")?)?);
        rest = &rest[end + delimiter.len()..];
    }
    Some(parts)
}

fn part(bytes: &[u8]) -> Option<Part> {
    let (head, body) = match find(bytes, b"\r\n\r\n") {
        Some(at) => (&bytes[..at], &bytes[at + 4..]),
        // A part without headers begins with the empty line.
        None => (&b""[..], bytes.strip_prefix(b"\r\n")?),
    };
    let head = String::from_utf8_lossy(head);
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_string()))
    };
    Some(Part { headers: head.lines().filter_map(header).collect(), body: body.to_vec() })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests;
