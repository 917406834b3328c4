//! Requests as bytes, built once and copied for each use.
//!
//! Two requests that differ in the key alone have equal frames but for the key's digits, so the digits are overwritten
//! in a copy. Values are windows, at random places, of one stretch of random bytes.

use bytes::Bytes;
use ombak_wire::{Request, RpbContent, RpbDelReq, RpbGetReq, RpbPutReq};

use super::options::BenchArgs;
use super::rng::Rng;

const KEY_DIGITS: usize = 8;
/// Random bytes beyond the size of one value: so many different values there are.
const POOL_BYTES: usize = 1 << 20;

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Reads a key.
    Get,
    /// Writes a key.
    Put,
    /// Deletes a key.
    Delete,
    /// Writes a key that was never written before.
    Insert,
    /// Reads a key, then writes it with the causal context that came with it: one operation.
    ReadModifyWrite,
}

impl Kind {
    /// In the order of reports.
    pub(super) const ALL: [Kind; 5] =
        [Kind::Get, Kind::Put, Kind::Delete, Kind::Insert, Kind::ReadModifyWrite];
}

/// What to ask next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Operation {
    /// What to do with it.
    pub kind: Kind,
    /// The number in the key.
    pub key: u32,
}

/// The frames of all requests of a run.
pub(super) struct Frames {
    get: Template,
    put: Template,
    delete: Template,
    value_bytes: usize,
    pool: Bytes,
    rng: Rng,
    /// The put with a context; its length varies, so its frames are not prebuilt.
    write: RpbPutReq,
}

impl Frames {
    /// Prebuilds what the options ask for.
    pub(super) fn new(args: &BenchArgs) -> Frames {
        let mut rng = Rng::new(args.seed ^ 0x7661_6c75);
        Frames {
            get: Template::new(|key, _| get(args, key), 0),
            put: Template::new(|key, value| Request::Put(put(args, key, value)), args.value_bytes),
            delete: Template::new(|key, _| delete(args, key), 0),
            value_bytes: args.value_bytes,
            pool: Bytes::from(rng.bytes(args.value_bytes + POOL_BYTES)),
            rng,
            write: put(args, "", Bytes::new()),
        }
    }

    /// Appends the frame of an operation; of a read-modify-write, that of the read.
    pub(super) fn append(&mut self, operation: Operation, out: &mut Vec<u8>) {
        match operation.kind {
            Kind::Get | Kind::ReadModifyWrite => self.get.append(operation.key, &[], out),
            Kind::Delete => self.delete.append(operation.key, &[], out),
            Kind::Put | Kind::Insert => {
                let value = self.value();
                self.put.append(operation.key, &value, out);
            }
        }
    }

    /// Appends the write of a read-modify-write; the context is empty if nothing was found.
    pub(super) fn append_write(&mut self, key: u32, context: Bytes, out: &mut Vec<u8>) {
        let mut write = self.write.clone();
        write.key = Some(Bytes::from(format!("key{key:0KEY_DIGITS$}")));
        write.vclock = (!context.is_empty()).then_some(context);
        if let Some(content) = &mut write.content {
            content.value = Some(self.value());
        }
        Request::Put(write).encode_frame(out);
    }

    fn value(&mut self) -> Bytes {
        let at = self.rng.below(POOL_BYTES as u32) as usize;
        self.pool.slice(at..at + self.value_bytes)
    }
}

/// A frame, split where the value goes, and where in the first part the key's digits are.
struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
    digits_at: usize,
}

impl Template {
    /// Finds the places by what changes when only the key, or only the value, changes.
    fn new(request: impl Fn(&str, Bytes) -> Request, value_bytes: usize) -> Template {
        let frame = |key: &str, byte: u8| {
            let mut out = Vec::new();
            request(key, Bytes::from(vec![byte; value_bytes])).encode_frame(&mut out);
            out
        };
        let base = frame("key00000000", 0);
        let digits_at = first_difference(&base, &frame("key11111111", 0));
        let value_at = first_difference(&base, &frame("key00000000", 1));
        let after = base[value_at + value_bytes..].to_vec();
        Template { before: base[..value_at].to_vec(), after, digits_at }
    }

    fn append(&self, key: u32, value: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.before);
        let digits = &mut out[start + self.digits_at..][..KEY_DIGITS];
        let mut rest = key;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(value);
        out.extend_from_slice(&self.after);
    }
}

/// The length if there is none.
fn first_difference(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len())
}

fn get(args: &BenchArgs, key: &str) -> Request {
    Request::Get(RpbGetReq {
        bucket: Some(Bytes::from(args.bucket.clone())),
        key: Some(Bytes::from(key.to_owned())),
        r: args.r,
        bucket_type: args.bucket_type.clone().map(Bytes::from),
        ..RpbGetReq::default()
    })
}

fn put(args: &BenchArgs, key: &str, value: Bytes) -> RpbPutReq {
    let content_type = Some(Bytes::from_static(b"application/octet-stream"));
    RpbPutReq {
        bucket: Some(Bytes::from(args.bucket.clone())),
        key: Some(Bytes::from(key.to_owned())),
        content: Some(RpbContent { value: Some(value), content_type, ..RpbContent::default() }),
        w: args.w,
        dw: args.dw,
        bucket_type: args.bucket_type.clone().map(Bytes::from),
        ..RpbPutReq::default()
    }
}

/// Without a context: the server reads first, to have one.
fn delete(args: &BenchArgs, key: &str) -> Request {
    Request::Del(RpbDelReq {
        bucket: Some(Bytes::from(args.bucket.clone())),
        key: Some(Bytes::from(key.to_owned())),
        r: args.r,
        w: args.w,
        dw: args.dw,
        bucket_type: args.bucket_type.clone().map(Bytes::from),
        ..RpbDelReq::default()
    })
}

#[cfg(test)]
mod tests;
