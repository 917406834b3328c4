//! Values with their metadata. Byte strings are shared, never copied.

use bytes::Bytes;
use ombak_kv::{Content, Link};
use ombak_wire::{RpbContent, RpbLink, RpbPair};

const SECOND_US: u64 = 1_000_000;

/// What a client writes. The time, the tag and whether it is a deletion are the server's to say.
pub(crate) fn from_wire(content: RpbContent) -> Content {
    Content {
        value: content.value.unwrap_or_default(),
        content_type: content.content_type,
        charset: content.charset,
        content_encoding: content.content_encoding,
        last_modified_us: 0,
        links: content.links.into_iter().map(link_from_wire).collect(),
        user_meta: content.usermeta.into_iter().map(pair_from_wire).collect(),
        indexes: content.indexes.into_iter().map(pair_from_wire).collect(),
        deleted: false,
    }
}

/// A sibling with its tag, without its value if only the `head` is wanted.
pub(crate) fn to_wire((vtag, content): (Bytes, Content), head: bool) -> RpbContent {
    RpbContent {
        value: Some(if head { Bytes::new() } else { content.value }),
        content_type: content.content_type,
        charset: content.charset,
        content_encoding: content.content_encoding,
        vtag: Some(vtag),
        links: content.links.into_iter().map(link_to_wire).collect(),
        last_mod: Some((content.last_modified_us / SECOND_US) as u32),
        last_mod_usecs: Some((content.last_modified_us % SECOND_US) as u32),
        usermeta: content.user_meta.into_iter().map(pair_to_wire).collect(),
        indexes: content.indexes.into_iter().map(pair_to_wire).collect(),
        deleted: content.deleted.then_some(true),
    }
}

fn link_from_wire(link: RpbLink) -> Link {
    Link {
        bucket: link.bucket.unwrap_or_default(),
        key: link.key.unwrap_or_default(),
        tag: link.tag.unwrap_or_default(),
    }
}

fn link_to_wire(link: Link) -> RpbLink {
    RpbLink { bucket: Some(link.bucket), key: Some(link.key), tag: Some(link.tag) }
}

fn pair_from_wire(pair: RpbPair) -> (Bytes, Option<Bytes>) {
    (pair.key.unwrap_or_default(), pair.value)
}

fn pair_to_wire((key, value): (Bytes, Option<Bytes>)) -> RpbPair {
    RpbPair { key: Some(key), value }
}
