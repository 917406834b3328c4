//! Bucket properties: a map that merges.
//!
//! Every property of every bucket is a register with a version (a counter, then the node that set it); the higher
//! version wins, on every node alike. What one node knows of a bucket has a [digest](BucketMap::digest), which travels
//! with replica requests, so that a node that missed a change hears of it before it decides anything by the old value.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{DecodeError, FNV_START, NodeId, Reader, fnv1a, put_bytes, put_varint};
use ombak_cluster::ROW_MAX;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::{BucketId, Quorum, RequestError};

/// At most so many buckets have properties of their own.
pub const BUCKETS_MAX: usize = 10_000;
/// The longest JSON of a carried property.
pub const JSON_BYTES_MAX: usize = 4096;

/// The value of a property.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PropValue {
    /// Yes or no.
    Bool(bool),
    /// A count or a number of seconds.
    Number(u32),
    /// A quorum.
    Quorum(QuorumProp),
    /// Carried for clients, with no effect here: its JSON.
    Json(String),
}

/// A quorum as a property: never `default`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum QuorumProp {
    /// 1.
    One,
    /// More than half.
    Quorum,
    /// n_val.
    All,
    /// So many.
    Count(u32),
}

impl From<QuorumProp> for Quorum {
    fn from(prop: QuorumProp) -> Quorum {
        match prop {
            QuorumProp::One => Quorum::One,
            QuorumProp::Quorum => Quorum::Quorum,
            QuorumProp::All => Quorum::All,
            QuorumProp::Count(count) => Quorum::Count(count),
        }
    }
}

/// One property set, or with `None` set back to its default.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PropChange {
    /// Riak's name of it.
    pub name: String,
    /// The new value.
    pub value: Option<PropValue>,
}

/// A bucket's properties, defaults filled in.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct BucketProps {
    #[serde(deserialize_with = "known_values")]
    values: BTreeMap<&'static str, PropValue>,
}

/// Reads what was written of properties: their names are those that this code knows.
fn known_values<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<&'static str, PropValue>, D::Error> {
    let values: BTreeMap<String, PropValue> = Deserialize::deserialize(from)?;
    let with_known = |(name, value): (String, PropValue)| {
        let unknown = || D::Error::custom(format_args!("no property is called {name:?}"));
        known(&name).map(|(name, _)| (name, value)).ok_or_else(unknown)
    };
    values.into_iter().map(with_known).collect()
}

const YES: PropValue = PropValue::Bool(true);
const NO: PropValue = PropValue::Bool(false);
const MAJORITY: PropValue = PropValue::Quorum(QuorumProp::Quorum);
const NONE: PropValue = PropValue::Quorum(QuorumProp::Count(0));

/// Names and defaults, in the order of Riak's answers.
fn defaults() -> Vec<(&'static str, PropValue)> {
    let json = |text: &str| PropValue::Json(text.into());
    vec![
        ("allow_mult", NO),
        ("basic_quorum", NO),
        ("big_vclock", PropValue::Number(50)),
        ("chash_keyfun", json(r#"{"mod":"riak_core_util","fun":"chash_std_keyfun"}"#)),
        ("dvv_enabled", NO),
        ("dw", MAJORITY),
        ("last_write_wins", NO),
        ("linkfun", json(r#"{"mod":"riak_kv_wm_link_walker","fun":"mapreduce_linkfun"}"#)),
        ("n_val", PropValue::Number(3)),
        ("node_confirms", PropValue::Number(0)),
        ("notfound_ok", YES),
        ("old_vclock", PropValue::Number(86400)),
        ("postcommit", json("[]")),
        ("pr", NONE),
        ("precommit", json("[]")),
        ("pw", NONE),
        ("r", MAJORITY),
        ("repl", json("true")),
        ("rw", MAJORITY),
        ("small_vclock", PropValue::Number(50)),
        ("sync_on_write", json(r#""backend""#)),
        ("w", MAJORITY),
        ("write_once", NO),
        ("young_vclock", PropValue::Number(20)),
    ]
}

/// Properties that have no default but may be set.
const CARRIED: &[&str] = &["backend", "search", "search_index", "has_precommit", "has_postcommit"];

fn known(name: &str) -> Option<(&'static str, Option<PropValue>)> {
    let default = defaults().into_iter().find(|(known, _)| *known == name);
    let carried = || CARRIED.iter().find(|known| **known == name).map(|known| (*known, None));
    default.map(|(name, value)| (name, Some(value))).or_else(carried)
}

impl Default for BucketProps {
    fn default() -> BucketProps {
        BucketProps { values: defaults().into_iter().collect() }
    }
}

impl BucketProps {
    /// All properties, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &PropValue)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }

    /// Replicas of each key.
    pub fn n_val(&self) -> u32 {
        self.number("n_val")
    }

    /// Whether concurrent writes are kept as siblings.
    pub fn allow_mult(&self) -> bool {
        self.flag("allow_mult") && !self.flag("last_write_wins")
    }

    /// Whether an absence counts towards r.
    pub fn notfound_ok(&self) -> bool {
        self.flag("notfound_ok")
    }

    /// Whether half of the row is enough for "not found".
    pub fn basic_quorum(&self) -> bool {
        self.flag("basic_quorum")
    }

    /// The bucket's own `r`, `pr`, `w`, `dw`, `pw` or `rw`.
    pub fn quorum(&self, name: &'static str) -> Quorum {
        match self.values.get(name) {
            Some(PropValue::Quorum(quorum)) => (*quorum).into(),
            _ => Quorum::Quorum,
        }
    }

    /// A yes-or-no property.
    pub fn flag(&self, name: &'static str) -> bool {
        self.values.get(name) == Some(&YES)
    }

    /// A numeric property; 0 if it is none.
    pub fn number(&self, name: &'static str) -> u32 {
        match self.values.get(name) {
            Some(PropValue::Number(number)) => *number,
            _ => 0,
        }
    }
}

/// Whether a change may be made: name known, type right, value in range.
pub fn validate(change: &PropChange) -> Result<(), RequestError> {
    let bad = |reason: &str| Err(RequestError::BadProperty(change.name.clone(), reason.into()));
    let Some((_, default)) = known(&change.name) else { return bad("unknown property") };
    match (&change.value, default) {
        (None, _) => Ok(()),
        (Some(PropValue::Number(n)), Some(PropValue::Number(_))) if change.name == "n_val" => {
            match *n {
                0 => bad("must be at least 1"),
                n if n as usize > ROW_MAX => {
                    bad(&format!("must be at most {ROW_MAX}, the length of a row"))
                }
                _ => Ok(()),
            }
        }
        (Some(PropValue::Number(n)), Some(PropValue::Number(_)))
            if change.name == "node_confirms" && *n as usize > ROW_MAX =>
        {
            bad(&format!("must be at most {ROW_MAX}, the length of a row"))
        }
        (Some(PropValue::Number(_)), Some(PropValue::Number(_))) => Ok(()),
        (Some(PropValue::Bool(_)), Some(PropValue::Bool(_))) => Ok(()),
        (Some(PropValue::Quorum(QuorumProp::Count(n))), Some(PropValue::Quorum(_)))
            if *n as usize > ROW_MAX =>
        {
            bad(&format!("must be at most {ROW_MAX}, the length of a row"))
        }
        (Some(PropValue::Quorum(_)), Some(PropValue::Quorum(_))) => Ok(()),
        (Some(PropValue::Json(json)), Some(PropValue::Json(_)) | None)
            if json.len() <= JSON_BYTES_MAX =>
        {
            Ok(())
        }
        (Some(PropValue::Json(_)), Some(PropValue::Json(_)) | None) => bad("too long"),
        (Some(_), None) => Ok(()),
        (_, Some(PropValue::Number(_))) => bad("not_integer"),
        (_, Some(PropValue::Bool(_))) => bad("not_boolean"),
        (_, Some(PropValue::Quorum(_))) => bad("not_valid_quorum"),
        (_, Some(PropValue::Json(_))) => bad("not_valid"),
    }
}

/// Who set a property, and when in the order of its changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
struct Version {
    counter: u64,
    node: NodeId,
}

/// The last change of each property, by name.
type Registers = BTreeMap<String, (Version, Option<PropValue>)>;

/// The changes of one bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Changes {
    registers: Registers,
    /// Of the registers.
    digest: u64,
    /// Of the bucket's name as well: most buckets have been changed once, by the same node, in the same way.
    with_name: u64,
    effective: BucketProps,
}

impl Changes {
    fn new(bucket: &BucketId, registers: Registers) -> Changes {
        let mut effective = BucketProps::default();
        for (name, (_, value)) in &registers {
            if let (Some((name, _)), Some(value)) = (known(name), value) {
                effective.values.insert(name, value.clone());
            }
        }
        let mut bytes = Vec::new();
        encode_registers(&registers, &mut bytes);
        let digest = fnv1a(FNV_START, &bytes).max(1);
        let with_name = fnv1a(FNV_START, &encode(bucket, &registers));
        Changes { registers, digest, with_name, effective }
    }
}

/// All buckets that have properties of their own.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct BucketMap {
    buckets: BTreeMap<BucketId, Changes>,
    defaults: BucketProps,
}

impl BucketMap {
    /// A bucket's properties.
    pub fn props(&self, bucket: &BucketId) -> &BucketProps {
        self.buckets.get(bucket).map_or(&self.defaults, |changes| &changes.effective)
    }

    /// Names what is known of a bucket; 0 if it never had properties of its own.
    pub fn digest(&self, bucket: &BucketId) -> u64 {
        self.buckets.get(bucket).map_or(0, |changes| changes.digest)
    }

    /// Names what is known of all buckets.
    pub fn digest_all(&self) -> u64 {
        let rotate = |all: u64, changes: &Changes| all.rotate_left(7) ^ changes.with_name;
        self.buckets.values().fold(0, rotate)
    }

    /// The least n_val of any bucket.
    pub fn least_n_val(&self) -> u32 {
        let set = self.buckets.values().map(|changes| changes.effective.n_val());
        set.chain([self.defaults.n_val()]).min().unwrap_or(1)
    }

    /// The buckets in it.
    pub fn buckets(&self) -> impl Iterator<Item = &BucketId> {
        self.buckets.keys()
    }

    /// Makes changes at `node`; the result is to be spread with [`export`](BucketMap::export).
    pub fn set(
        &mut self,
        bucket: &BucketId,
        changes: &[PropChange],
        node: NodeId,
    ) -> Result<(), RequestError> {
        changes.iter().try_for_each(validate)?;
        if !self.buckets.contains_key(bucket) && self.buckets.len() >= BUCKETS_MAX {
            return Err(RequestError::Overload);
        }
        let mut registers = self.registers(bucket);
        let counter = registers.values().map(|(version, _)| version.counter).max().unwrap_or(0) + 1;
        for change in changes {
            registers
                .insert(change.name.clone(), (Version { counter, node }, change.value.clone()));
        }
        self.buckets.insert(bucket.clone(), Changes::new(bucket, registers));
        Ok(())
    }

    /// Sets everything that was ever set back to its default.
    pub fn reset(&mut self, bucket: &BucketId, node: NodeId) -> Result<(), RequestError> {
        let names = self.registers(bucket).into_keys();
        let changes: Vec<PropChange> = names.map(|name| PropChange { name, value: None }).collect();
        if changes.is_empty() { Ok(()) } else { self.set(bucket, &changes, node) }
    }

    /// What is known of a bucket, for disk and for other nodes.
    pub fn export(&self, bucket: &BucketId) -> Bytes {
        Bytes::from(encode(bucket, &self.registers(bucket)))
    }

    /// Takes over what another node exported. The bucket, and whether anything was new.
    pub fn import(&mut self, exported: &Bytes) -> Result<(BucketId, bool), DecodeError> {
        let (bucket, theirs) = decode(exported)?;
        let before = self.registers(&bucket);
        let mut registers = before.clone();
        for (name, (version, value)) in theirs {
            let newer = registers.get(&name).is_none_or(|(known, _)| *known < version);
            if newer {
                registers.insert(name, (version, value));
            }
        }
        let changed = registers != before;
        let room = self.buckets.contains_key(&bucket) || self.buckets.len() < BUCKETS_MAX;
        if changed && room {
            self.buckets.insert(bucket.clone(), Changes::new(&bucket, registers));
        }
        Ok((bucket, changed && room))
    }

    fn registers(&self, bucket: &BucketId) -> Registers {
        self.buckets.get(bucket).map(|changes| changes.registers.clone()).unwrap_or_default()
    }
}

const FORMAT: u8 = 1;

fn encode(bucket: &BucketId, registers: &Registers) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_bytes(&mut out, &bucket.bucket_type);
    put_bytes(&mut out, &bucket.name);
    encode_registers(registers, &mut out);
    out
}

fn encode_registers(registers: &Registers, out: &mut Vec<u8>) {
    put_varint(out, registers.len() as u64);
    for (name, (version, value)) in registers {
        put_bytes(out, name.as_bytes());
        put_varint(out, version.counter);
        put_varint(out, u64::from(version.node.0));
        let (tag, number) = match value {
            None => (0, 0),
            Some(PropValue::Bool(value)) => (1, u32::from(*value)),
            Some(PropValue::Number(number)) => (2, *number),
            Some(PropValue::Quorum(QuorumProp::One)) => (3, 0),
            Some(PropValue::Quorum(QuorumProp::Quorum)) => (4, 0),
            Some(PropValue::Quorum(QuorumProp::All)) => (5, 0),
            Some(PropValue::Quorum(QuorumProp::Count(count))) => (6, *count),
            Some(PropValue::Json(_)) => (7, 0),
        };
        out.push(tag);
        match value {
            Some(PropValue::Json(json)) => put_bytes(out, json.as_bytes()),
            _ => put_varint(out, u64::from(number)),
        }
    }
}

fn decode(exported: &Bytes) -> Result<(BucketId, Registers), DecodeError> {
    let mut reader = Reader::new(exported.clone());
    match reader.u8()? {
        FORMAT => {}
        version => return Err(DecodeError::Version(u64::from(version))),
    }
    let bucket_type = reader.bytes(ombak_base::limits::TYPE_BYTES_MAX)?;
    let bucket =
        BucketId { bucket_type, name: reader.bytes(ombak_base::limits::BUCKET_BYTES_MAX)? };
    let mut registers = BTreeMap::new();
    for _ in 0..reader.count(5)? {
        let name = text(reader.bytes(64)?)?;
        let counter = reader.varint()?;
        let node = NodeId(small(reader.varint()?)?);
        let value = decode_value(&mut reader)?;
        registers.insert(name, (Version { counter, node }, value));
    }
    reader.finish()?;
    Ok((bucket, registers))
}

fn decode_value(reader: &mut Reader) -> Result<Option<PropValue>, DecodeError> {
    let tag = reader.u8()?;
    if tag == 7 {
        return Ok(Some(PropValue::Json(text(reader.bytes(JSON_BYTES_MAX)?)?)));
    }
    let number = small(reader.varint()?)?;
    Ok(match tag {
        0 => None,
        1 => Some(PropValue::Bool(number != 0)),
        2 => Some(PropValue::Number(number)),
        3 => Some(PropValue::Quorum(QuorumProp::One)),
        4 => Some(PropValue::Quorum(QuorumProp::Quorum)),
        5 => Some(PropValue::Quorum(QuorumProp::All)),
        6 => Some(PropValue::Quorum(QuorumProp::Count(number))),
        _ => return Err(DecodeError::Invalid("property value")),
    })
}

fn text(bytes: Bytes) -> Result<String, DecodeError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::Invalid("text"))
}

fn small(value: u64) -> Result<u32, DecodeError> {
    u32::try_from(value).map_err(|_| DecodeError::Invalid("number"))
}

#[cfg(test)]
mod tests;
