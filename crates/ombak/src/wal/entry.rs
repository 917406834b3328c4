//! A record, taken apart for filters, tables and JSON.

use ombak_aries::inspect::{ENGINE_STREAM, Entry, Record, Words};
use ombak_node::{NODE_PARTITION, ROOT_PARTITION};
use serde_json::{Map, Value, json};

use super::place::Log;

/// A record of a log, as far as it is understood.
pub enum Kinded<'a> {
    /// One of the engine's.
    Engine(Record<'a>),
    /// Of a node's commit log: these bytes stand at this place of the partition's file.
    Bytes { file: u32, offset: u32, bytes: usize },
    /// Of a node's commit log: nothing beyond this place had been written.
    End { file: u32, offset: u32 },
    /// Anything else.
    Other,
}

/// How a log's records are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    Engine,
    Node,
}

impl Reader {
    /// A log alone is the engine's if all that stands in it can be.
    pub fn of(log: &Log) -> Reader {
        let node = match log {
            Log::Engine(_) => false,
            Log::Node(_) => true,
            Log::Alone(view) => {
                let scanned = view.scan(view.first_lsn(), |entry| {
                    let engines =
                        entry.stream == ENGINE_STREAM && Record::decode(entry.payload).is_ok();
                    if engines { Ok(()) } else { Err(()) }
                });
                scanned.is_err()
            }
        };
        if node { Reader::Node } else { Reader::Engine }
    }

    /// What a record is.
    pub fn read<'a>(self, entry: &Entry<'a>) -> Kinded<'a> {
        match self {
            Reader::Engine if entry.stream == ENGINE_STREAM => {
                Record::decode(entry.payload).map_or(Kinded::Other, Kinded::Engine)
            }
            Reader::Engine => Kinded::Other,
            Reader::Node => node_record(entry.payload).unwrap_or(Kinded::Other),
        }
    }

    /// The names of all kinds.
    pub fn kinds(self) -> &'static [&'static str] {
        match self {
            Reader::Engine => &[
                "update",
                "clr",
                "nested-end",
                "commit",
                "rollback",
                "end",
                "prepare",
                "locked",
                "single",
                "begin-checkpoint",
                "end-checkpoint",
                "other",
            ],
            Reader::Node => &["bytes", "end", "other"],
        }
    }

    /// A stream's name.
    pub fn stream(self, stream: u32) -> String {
        match self {
            Reader::Engine if stream == ENGINE_STREAM.0 => "the engine".to_string(),
            Reader::Engine => format!("stream {stream}"),
            Reader::Node if stream == NODE_PARTITION.0 => "the node".to_string(),
            Reader::Node if stream == ROOT_PARTITION.0 => "the root group".to_string(),
            Reader::Node => format!("partition {stream}"),
        }
    }
}

/// A record as `crates/store/src/log/commit.rs` writes it.
fn node_record<'a>(payload: &[u8]) -> Option<Kinded<'a>> {
    let word = |at: usize| {
        let bytes = payload.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let (file, offset) = (word(1)?, word(5)?);
    match payload.first()? {
        1 => Some(Kinded::Bytes { file, offset, bytes: payload.len() - 9 }),
        2 if payload.len() == 9 => Some(Kinded::End { file, offset }),
        _ => None,
    }
}

impl Kinded<'_> {
    pub fn name(&self) -> &'static str {
        match self {
            Kinded::Engine(record) => record.name(),
            Kinded::Bytes { .. } => "bytes",
            Kinded::End { .. } => "end",
            Kinded::Other => "other",
        }
    }

    /// Whose it is, if it is a transaction's.
    pub fn txn(&self) -> Option<u64> {
        match self {
            Kinded::Engine(record) => record.link().map(|link| link.txn.0),
            _ => None,
        }
    }

    /// For people.
    pub fn line(&self, reader: Reader, entry: &Entry<'_>, words: &Words) -> String {
        let (lsn, stream) = (entry.lsn.0, reader.stream(entry.stream.0));
        match self {
            Kinded::Engine(_) => words.line(entry),
            Kinded::Bytes { file, offset, bytes } => {
                format!("lsn {lsn}  bytes  {stream}  file {file}  offset {offset}: {bytes} bytes")
            }
            Kinded::End { file, offset } => {
                format!("lsn {lsn}  end  {stream}  file {file}  offset {offset}: nothing beyond")
            }
            // Of the engine's stream, they say why it is not understood.
            Kinded::Other if reader == Reader::Engine => words.line(entry),
            Kinded::Other => format!("lsn {lsn}  other  {stream}  {} bytes", entry.payload.len()),
        }
    }

    /// For programs.
    pub fn json(&self, entry: &Entry<'_>, words: &Words) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| drop(object.insert(name.to_string(), value));
        put("lsn", entry.lsn.0.into());
        put("stream", entry.stream.0.into());
        put("kind", self.name().into());
        put("bytes", entry.payload.len().into());
        put("segment", entry.file.into());
        put("segment_offset", entry.offset.into());
        match self {
            Kinded::Engine(record) => {
                record_fields(record, words).into_iter().for_each(|(name, value)| put(name, value));
            }
            Kinded::Bytes { file, offset, .. } | Kinded::End { file, offset } => {
                put("file", (*file).into());
                put("offset", (*offset).into());
            }
            Kinded::Other => {}
        }
        Value::Object(object)
    }
}

fn record_fields(record: &Record<'_>, words: &Words) -> Vec<(&'static str, Value)> {
    let mut fields = Vec::new();
    if let Some(link) = record.link() {
        fields.extend([("txn", json!(link.txn.0)), ("prev", json!(link.prev.0))]);
    }
    if let Some(change) = record.change() {
        fields.push(("page", json!(change.page.0)));
        fields.push(("manager", json!(change.manager.0)));
        fields.push(("change", json!(words.describe(&change))));
    }
    match record {
        Record::Clr { undo_next, .. } | Record::NestedEnd { undo_next, .. } => {
            fields.push(("undo_next", json!(undo_next.0)));
        }
        Record::Prepare { name, .. } => {
            fields.push(("name", json!(name.escape_ascii().to_string())));
        }
        Record::BeginCheckpoint { identity } => fields.push(("identity", json!(identity))),
        Record::EndCheckpoint(tables) => {
            let txns: Vec<u64> = tables.txns.iter().map(|line| line.txn.0).collect();
            let pages: Vec<Value> = tables
                .pages
                .iter()
                .map(|(page, rec_lsn)| json!({ "page": page.0, "rec_lsn": rec_lsn.0 }))
                .collect();
            fields.extend([("begin", json!(tables.begin.0)), ("txns", json!(txns))]);
            fields.push(("dirty_pages", json!(pages)));
        }
        _ => {}
    }
    fields
}
