use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::*;

const CODES: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 29, 30, 31,
    32, 33, 34, 111, 240, 241,
];

fn code() -> impl Strategy<Value = u8> {
    proptest::sample::select(&CODES[..])
}

fn text() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::weighted(0.9, vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn pairs() -> impl Strategy<Value = Vec<RpbPair>> {
    vec((text(), text()).prop_map(|(key, value)| RpbPair { key, value }), 0..4)
}

fn content() -> impl Strategy<Value = RpbContent> {
    (text(), text(), pairs(), pairs(), any::<Option<u32>>()).prop_map(
        |(value, vtag, usermeta, indexes, last_mod)| RpbContent {
            value,
            vtag,
            usermeta,
            indexes,
            last_mod,
            links: vec![RpbLink::default()],
            ..RpbContent::default()
        },
    )
}

fn put() -> impl Strategy<Value = Request> {
    (text(), text(), proptest::option::of(content()), any::<Option<u32>>()).prop_map(
        |(bucket, key, content, w)| {
            Request::Put(RpbPutReq { bucket, key, content, w, ..RpbPutReq::default() })
        },
    )
}

/// A frame of a put without its length: the code and the body.
fn put_message() -> impl Strategy<Value = Vec<u8>> {
    put().prop_map(|request| {
        let mut out = Vec::new();
        request.encode_frame(&mut out);
        out.split_off(4)
    })
}

/// The code and the body of a table of rows.
fn rows() -> impl Strategy<Value = Vec<u8>> {
    let row = || vec(0u32..3, 0..4).prop_map(|owners| OmbakRow { owners });
    let rows = (0u32..4).prop_flat_map(move |bits| vec(row(), 1 << bits));
    (any::<u64>(), rows, 0u32..3).prop_map(|(epoch, rows, node)| {
        let members = ["a", "b", "c"].map(|name| Bytes::from_static(name.as_bytes())).into();
        let ring_size = Some(rows.len() as u32);
        let rows = OmbakRowsResp { epoch: Some(epoch), ring_size, members, node: Some(node), rows };
        let mut out = Vec::new();
        Response::Rows(rows).encode_frame(&mut out);
        out.split_off(4)
    })
}

/// Replaces bytes at places given as fractions, and cuts the end off.
fn mutate(
    mut bytes: Vec<u8>,
    changes: Vec<(prop::sample::Index, u8)>,
    end: prop::sample::Index,
) -> Vec<u8> {
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = byte;
    }
    bytes.truncate(1 + end.index(bytes.len()));
    bytes
}

proptest! {
    #[test]
    fn any_bytes_as_a_message(code in code(), mut body in vec(any::<u8>(), 0..200)) {
        body.insert(0, code);
        message(&body);
    }

    #[test]
    fn damaged_rows(
        rows in rows(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
    ) {
        message(&mutate(rows, changes, end));
    }

    /// Bytes that look like small fields get much further into a decoder than any bytes do.
    #[test]
    fn likely_bytes_as_a_message(code in code(), body in vec((1u8..20, 0u8..6, vec(0u8..12, 0..6)), 0..30)) {
        let mut input = vec![code];
        for (tag, kind, payload) in body {
            input.push(tag << 3 | kind);
            if kind == 2 {
                input.push(payload.len() as u8);
            }
            input.extend(payload);
        }
        message(&input);
    }

    #[test]
    fn damaged_puts(
        put in put_message(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
    ) {
        message(&mutate(put, changes, end));
    }

    #[test]
    fn any_bytes_as_frames(input in vec(prop_oneof![3 => Just(0u8), 2 => 0u8..9, 1 => any::<u8>()], 0..400)) {
        frames(&input);
    }

    #[test]
    fn puts_in_any_pieces(puts in vec(put(), 0..6), piece in 0u8..60, cut in any::<prop::sample::Index>()) {
        let mut stream = vec![piece];
        puts.iter().for_each(|put| put.encode_frame(&mut stream));
        let whole = frames_of(std::iter::once(&stream[1..]));
        prop_assert_eq!(whole.0.len(), puts.len());
        frames(&stream);
        stream.truncate(1 + cut.index(stream.len()));
        frames(&stream);
    }

    #[test]
    fn puts_round_trip(put in put()) {
        let (code, body) = reframe(|out| put.encode_frame(out));
        match Request::decode(code, body) {
            Ok(decoded) => prop_assert_eq!(decoded, put),
            Err(error) => prop_assert!(matches!(error, WireError::Missing(_)), "{}", error),
        }
    }
}
