use bytes::BytesMut;
use ombak_wire::split_frame;

use super::super::tests::args;
use super::*;

fn decoded(frames: &mut Frames, kind: Kind, key: u32) -> Request {
    let mut out = Vec::new();
    frames.append(Operation { kind, key }, &mut out);
    let mut buffer = BytesMut::from(&out[..]);
    let (code, body) = split_frame(&mut buffer).unwrap().unwrap();
    assert!(buffer.is_empty());
    Request::decode(code, body).unwrap()
}

#[test]
fn a_copied_frame_is_the_frame_that_the_codec_would_write() {
    // A bucket that looks like a key must not confuse it.
    for line in ["", "--bucket key00000000 --type t --r 2 --w one --dw all", "--value-bytes 0"] {
        let args = args(line);
        let mut frames = Frames::new(&args);
        for key in [0, 7, 99_999_999, 12_345_678] {
            let name = format!("key{key:08}");
            assert_eq!(decoded(&mut frames, Kind::Get, key), get(&args, &name));
            assert_eq!(decoded(&mut frames, Kind::Delete, key), delete(&args, &name));
            let Request::Put(found) = decoded(&mut frames, Kind::Put, key) else {
                panic!("no put")
            };
            let value = found.content.clone().unwrap().value.unwrap();
            assert_eq!(value.len(), args.value_bytes);
            assert_eq!(found, put(&args, &name, value));
        }
    }
}

#[test]
fn the_write_after_a_read_carries_its_context() {
    let args = args("--w 2 --value-bytes 10");
    let mut frames = Frames::new(&args);
    for context in [Bytes::new(), Bytes::from_static(b"context")] {
        let mut out = Vec::new();
        frames.append_write(7, context.clone(), &mut out);
        let (code, body) = split_frame(&mut BytesMut::from(&out[..])).unwrap().unwrap();
        let Ok(Request::Put(found)) = Request::decode(code, body) else { panic!("no put") };
        let value = found.content.clone().unwrap().value.unwrap();
        assert_eq!(value.len(), 10);
        let vclock = (!context.is_empty()).then_some(context);
        assert_eq!(found, RpbPutReq { vclock, ..put(&args, "key00000007", value) });
    }
}

#[test]
fn values_differ_and_a_seed_repeats_them() {
    let args = args("--value-bytes 64");
    let draw = || {
        let mut frames = Frames::new(&args);
        (0..50).map(|_| decoded(&mut frames, Kind::Put, 1)).collect::<Vec<_>>()
    };
    let values = draw();
    assert_eq!(values, draw());
    assert!(values.iter().skip(1).all(|value| value != &values[0]));
}

#[test]
fn frames_are_appended_to_what_is_there() {
    let mut frames = Frames::new(&args(""));
    let mut out = b"before".to_vec();
    frames.append(Operation { kind: Kind::Get, key: 42 }, &mut out);
    assert!(out.starts_with(b"before"));
    assert!(out.ends_with(b"key00000042"));
}
