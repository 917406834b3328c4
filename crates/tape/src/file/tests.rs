use ombak_base::{NodeId, ShardId};
use proptest::prelude::*;

use super::*;

fn reel(shard: u16, number: u64) -> Arc<Reel> {
    Arc::new(Reel {
        at: Address { node: NodeId(1), shard: ShardId(shard) },
        number,
        steps_before: number * 10,
        steps: 10,
        first: Bytes::from_static(b"a state"),
        last: 7,
        tape: Bytes::from(vec![number as u8; 40]),
    })
}

fn recording() -> Recording {
    Recording::new("n1", vec![reel(1, 3), reel(0, 0), reel(1, 2)])
}

#[test]
fn what_is_written_is_read() {
    let read = Recording::read(recording().to_bytes().into()).unwrap();
    assert_eq!(read, recording());
    let [first, second] = read.addresses()[..] else { panic!("{read:?}") };
    assert_eq!(read.of(first), [reel(0, 0)]);
    assert_eq!(read.of(second), [reel(1, 2), reel(1, 3)], "in order");
}

#[test]
fn what_is_no_recording_is_refused_with_a_word() {
    let read = |file: &[u8]| Recording::read(Bytes::copy_from_slice(file)).unwrap_err().to_string();
    assert!(read(b"").contains("not a recording"));
    assert!(read(b"PNG").contains("not a recording"));
    assert_eq!(read(b"ombak tape 2\n..."), "a recording in format \"2\"; this code reads format 1");
    let mut long = recording().to_bytes();
    long.push(0);
    assert!(read(&long).contains("goes on after its end"));
    let other = Header { node: "n1".into(), version: "0.0.0-other".into() };
    let file = Recording { header: other, reels: Vec::new() }.to_bytes();
    assert!(read(&file).contains("recorded by version 0.0.0-other"));
}

#[test]
fn a_file_that_is_cut_short_says_where() {
    let whole = recording().to_bytes();
    for length in MAGIC.len()..whole.len() {
        let error = Recording::read(Bytes::copy_from_slice(&whole[..length])).unwrap_err();
        assert_eq!(error, RecordingError::CutShort(length as u64));
    }
}

#[test]
fn every_bit_that_flips_is_noticed() {
    let whole = recording().to_bytes();
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Recording::read(flipped.into()).is_err(), "bit {bit}");
    }
}

proptest! {
    /// A block whose checksum fits can hold anything.
    #[test]
    fn no_content_panics(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut file = MAGIC.to_vec();
        put_block(&Header { node: "n".into(), version: version().into() }, &mut file);
        let length = content.len() as u32;
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&crc32fast::hash(&content).to_le_bytes());
        file.extend_from_slice(&content);
        file.extend_from_slice(&[0; 8]);
        let _ = Recording::read(file.into());
    }
}

/// Golden: files stay readable by the code of the same version.
#[test]
fn the_format_is_pinned() {
    let mut out = Vec::new();
    put_block(&*reel(0, 2), &mut out);
    let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
    let fields = ["01", "00", "02", "14", "0a", "0761207374617465", "07", "28", &"02".repeat(40)];
    assert_eq!(hex[16..], fields.concat());
    assert_eq!(hex[..8], *"37000000");
}
