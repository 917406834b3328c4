//! What any bytes at all on a Protocol Buffers connection must satisfy.

use super::*;
use ombak_kv::{Answer as KvAnswer, RequestError};

/// The first byte says in what pieces the rest arrives. Whatever is asked is answered, and then there is at most one
/// frame more than has come: the last word.
pub fn pb_stream(input: &[u8]) {
    let Some((&piece, stream)) = input.split_first() else { return };
    let Ok(topology) = Topology::fixed(&["riak@127.0.0.1".into()], 16) else { return };
    let face = PbFace::new(Arc::new(topology), NodeId(0));
    let mut queue = face.open();
    let (mut written, mut asked) = (Vec::new(), Vec::new());
    let mut input = BytesMut::new();
    for piece in stream.chunks(usize::from(piece).max(1)) {
        input.extend_from_slice(piece);
        let mut out = Requests::new(&mut written, &mut asked);
        let received = face.receive(&mut queue, &mut input, &mut out);
        while let Some((slot, _)) = asked.pop() {
            let reply = Reply::Kv(KvAnswer::Failed(RequestError::Timeout));
            let mut out = Requests::new(&mut written, &mut asked);
            face.answer(&mut queue, slot, reply, &mut out);
        }
        if received.is_err() || !face.may_read(&queue) {
            break;
        }
    }
    assert!(frames_in(&written) <= frames_in(stream) + 1);
    let mut rest = BytesMut::from(&written[..]);
    while let Ok(Some((code, body))) = split_frame(&mut rest) {
        assert!(Response::decode(code, body).is_ok());
    }
    assert!(rest.is_empty());
}

fn frames_in(bytes: &[u8]) -> usize {
    let mut bytes = BytesMut::from(bytes);
    std::iter::from_fn(|| split_frame(&mut bytes).ok().flatten()).count()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Frames of known codes with bodies that look like small fields.
    fn likely_stream() -> impl Strategy<Value = Vec<u8>> {
        let codes = &[1u8, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 29, 31, 33, 110, 240, 255][..];
        let field = (1u8..20, prop::sample::select(&[0u8, 2][..]), vec(0u8..12, 0..6));
        let frame = (prop::sample::select(codes), vec(field, 0..8));
        vec(frame, 0..8).prop_map(|frames| {
            let mut out = Vec::new();
            for (code, fields) in frames {
                let mut body = vec![code];
                for (tag, kind, payload) in fields {
                    body.push(tag << 3 | kind);
                    body.push(payload.len() as u8);
                    body.extend(payload.iter().filter(|_| kind == 2));
                }
                out.extend((body.len() as u32).to_be_bytes());
                out.extend(body);
            }
            out
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_as_a_stream(piece: u8, stream in prop_oneof![likely_stream(), vec(any::<u8>(), 0..100)]) {
            pb_stream(&[&[piece], &stream[..]].concat());
        }
    }
}
