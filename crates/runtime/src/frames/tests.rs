use super::*;
use ombak_base::DecodeError;

struct Raw(Vec<u8>);

impl Wire for Raw {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        Ok(Raw(bytes.to_vec()))
    }
}

fn stream(sizes: &[usize]) -> (Vec<u8>, Vec<Frame>) {
    let (mut out, mut frames) = (Vec::new(), Vec::new());
    for (i, &size) in sizes.iter().enumerate() {
        let (from, to, body) = (ShardId(i as u16), ShardId(7), vec![i as u8; size]);
        frames.push(Frame { from, to, message: Bytes::from(body.clone()) });
        assert!(put(&mut out, from, to, &Raw(body)));
    }
    (out, frames)
}

#[test]
fn frames_survive_every_way_of_cutting_the_stream() {
    let (bytes, frames) = stream(&[0, 1, 300, 5, 0, 70]);
    for piece in 1..=bytes.len() {
        let mut assembler = Assembler::default();
        let mut got = Vec::new();
        for mut data in bytes.chunks(piece) {
            while let Some(frame) = assembler.next(&mut data).unwrap() {
                got.push(frame);
            }
            assert!(data.is_empty());
        }
        assert_eq!(got, frames, "in pieces of {piece}");
    }
}

#[test]
fn a_length_out_of_bounds_is_refused_before_anything_is_allocated() {
    for len in [0u32, 3, PEER_FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
        let bytes = [&len.to_le_bytes()[..], &[0; 16]].concat();
        for piece in [1, 3, 4, 20] {
            let mut assembler = Assembler::default();
            let refused = bytes.chunks(piece).any(
                |mut data| matches!(assembler.next(&mut data), Err(BadLength(bad)) if bad == len),
            );
            assert!(refused, "{len} in pieces of {piece}");
            assert!(assembler.partial.capacity() < 64);
        }
    }
}

#[test]
fn a_message_that_is_too_long_leaves_the_buffer_as_it_was() {
    let mut out = vec![1, 2, 3];
    assert!(!put(&mut out, ShardId(0), ShardId(0), &Raw(vec![0; PEER_FRAME_BYTES_MAX])));
    assert_eq!(out, [1, 2, 3]);
}
