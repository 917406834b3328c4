//! What lies under a key: values, and what you have seen of them.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ombak_wire::{RpbContent, RpbLink, RpbPair};

use crate::Error;

/// A bucket, of the default type or of another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bucket {
    /// Empty for the default type.
    pub(crate) bucket_type: Bytes,
    pub(crate) name: Bytes,
}

impl Bucket {
    /// A bucket of a type. `default` is the one that a plain name means.
    pub fn typed(bucket_type: impl Into<Key>, name: impl Into<Key>) -> Bucket {
        let Key(bucket_type) = bucket_type.into();
        let bucket_type = if bucket_type == "default" { Bytes::new() } else { bucket_type };
        Bucket { bucket_type, name: name.into().0 }
    }

    /// Its name.
    pub fn name(&self) -> &Bytes {
        &self.name
    }

    pub(crate) fn type_field(&self) -> Option<Bytes> {
        (!self.bucket_type.is_empty()).then(|| self.bucket_type.clone())
    }
}

impl<T: Into<Key>> From<T> for Bucket {
    fn from(name: T) -> Bucket {
        Bucket { bucket_type: Bytes::new(), name: name.into().0 }
    }
}

/// A key or another name: any bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(pub Bytes);

/// Opaque bytes that say what of a key you have seen. A read gives them out; with the next write they say what that write
/// replaces. Do not make one up, and do not keep one for long.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Context(pub(crate) Bytes);

impl Context {
    /// To hand it through a form or a cookie.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// A context that was handed through.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Context {
        Context(bytes.into())
    }
}

/// One value with its metadata.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Value {
    content: RpbContent,
}

impl Value {
    /// Bytes with a media type.
    pub fn new(data: impl Into<Key>, content_type: &str) -> Value {
        let mut value = Value::from_wire(RpbContent::default());
        value.content.value = Some(data.into().0);
        value.content.content_type = Some(text_field(content_type));
        value
    }

    /// The bytes.
    pub fn data(&self) -> &[u8] {
        self.content.value.as_deref().unwrap_or_default()
    }

    /// The bytes as text, if they are UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.data()).ok()
    }

    /// The media type.
    pub fn content_type(&self) -> Option<&str> {
        std::str::from_utf8(self.content.content_type.as_deref()?).ok()
    }

    /// The value of one of the user's own metadata.
    pub fn metadata(&self, name: &str) -> Option<&[u8]> {
        let named = |pair: &&RpbPair| pair.key.as_deref() == Some(name.as_bytes());
        self.content.usermeta.iter().find(named)?.value.as_deref()
    }

    /// The same value with one metadata more.
    pub fn with_metadata(mut self, name: &str, value: &str) -> Value {
        let (key, value) = (Some(text_field(name)), Some(text_field(value)));
        self.content.usermeta.retain(|pair| pair.key != key);
        self.content.usermeta.push(RpbPair { key, value });
        self
    }

    /// References to other objects: bucket, key, tag.
    pub fn links(&self) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
        self.content
            .links
            .iter()
            .map(|link| (bytes(&link.bucket), bytes(&link.key), bytes(&link.tag)))
    }

    /// The same value with one reference more.
    pub fn with_link(mut self, bucket: &str, key: &str, tag: &str) -> Value {
        let [bucket, key, tag] = [bucket, key, tag].map(|text| Some(text_field(text)));
        self.content.links.push(RpbLink { bucket, key, tag });
        self
    }

    /// When it was written, by the clock of the node that took it.
    pub fn last_modified(&self) -> Option<SystemTime> {
        let (seconds, us) = (self.content.last_mod?, self.content.last_mod_usecs.unwrap_or(0));
        let since = Duration::from_secs(seconds.into()) + Duration::from_micros(us.into());
        SystemTime::UNIX_EPOCH.checked_add(since)
    }

    /// The message that it is on the wire, with everything that has no method here.
    pub fn as_wire(&self) -> &RpbContent {
        &self.content
    }

    /// A value from such a message.
    pub fn from_wire(content: RpbContent) -> Value {
        Value { content }
    }
}

fn bytes(field: &Option<Bytes>) -> &[u8] {
    field.as_deref().unwrap_or_default()
}

fn text_field(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// What lies under a key, as you read it or as you want to write it.
///
/// An object that was read carries what its reader has seen, so that writing it back replaces just that. If others wrote at
/// the same time, a read gives all their values; make one of them and write it back:
///
/// ```
/// # use ombak_client::{Object, Value};
/// # let both = vec!["milk\nbread".into(), "eggs\nmilk".into()];
/// # let mut cart = Object::new("carts", "alice", "").with_values(both);
/// cart.resolve(|values| {
///     let lines = values.iter().filter_map(Value::text).flat_map(str::lines);
///     let all: std::collections::BTreeSet<&str> = lines.collect();
///     Value::from(Vec::from_iter(all).join("\n"))
/// });
/// assert_eq!(cart.value()?.text(), Some("bread\neggs\nmilk"));
/// # Ok::<(), ombak_client::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Object {
    pub(crate) bucket: Bucket,
    pub(crate) key: Option<Bytes>,
    pub(crate) values: Vec<Value>,
    pub(crate) context: Context,
}

impl Object {
    /// A value that is to be written by someone who has seen nothing of the key.
    pub fn new(bucket: impl Into<Bucket>, key: impl Into<Key>, value: impl Into<Value>) -> Object {
        let Key(key) = key.into();
        let (bucket, values) = (bucket.into(), vec![value.into()]);
        Object { bucket, key: Some(key), values, context: Context::default() }
    }

    /// The same under a key that the node makes up.
    pub fn unnamed(bucket: impl Into<Bucket>, value: impl Into<Value>) -> Object {
        let (bucket, values) = (bucket.into(), vec![value.into()]);
        Object { bucket, key: None, values, context: Context::default() }
    }

    /// The same object, by someone who has seen what `context` says.
    pub fn with_context(mut self, context: Context) -> Object {
        self.context = context;
        self
    }

    /// The same object with these values, as a read might give it: to test how a program merges.
    pub fn with_values(mut self, values: Vec<Value>) -> Object {
        self.values = values;
        self
    }

    /// Where it lies.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Under which key, unless the node is to make one up.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// All values. More than one were written at the same time, by writers who did not know of each other.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value, if there is one and no more.
    pub fn value(&self) -> Result<&Value, Error> {
        match &self.values[..] {
            [value] => Ok(value),
            values => Err(Error::Siblings(values.len())),
        }
    }

    /// Replaces all values by one.
    pub fn set(&mut self, value: impl Into<Value>) {
        self.values = vec![value.into()];
    }

    /// Makes one value of all. With a single value, nothing is done.
    pub fn resolve(&mut self, merge: impl FnOnce(&[Value]) -> Value) {
        if self.values.len() != 1 {
            self.set(merge(&self.values));
        }
    }

    /// What its reader has seen.
    pub fn context(&self) -> &Context {
        &self.context
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        Key(text_field(text))
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Key {
        Key(Bytes::copy_from_slice(bytes))
    }
}

macro_rules! key_from {
    ($($from:ty),*) => {$(
        impl From<$from> for Key {
            fn from(bytes: $from) -> Key {
                Key(bytes.into())
            }
        }
    )*};
}

key_from!(String, Vec<u8>, Bytes);

/// Text.
impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::new(text, "text/plain")
    }
}

/// Text.
impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::new(text, "text/plain")
    }
}

/// Bytes.
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Value {
        Value::new(bytes, "application/octet-stream")
    }
}

/// Bytes.
impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Value {
        Value::new(bytes, "application/octet-stream")
    }
}

#[cfg(test)]
mod tests;
