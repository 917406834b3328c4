use ombak_wire::{OmbakRow, OmbakRowsResp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// The body of a table of rows.
fn table() -> impl Strategy<Value = Vec<u8>> {
    let row = || vec(0u32..3, 0..4).prop_map(|owners| OmbakRow { owners });
    let rows = (0u32..4).prop_flat_map(move |bits| vec(row(), 1 << bits));
    (rows, 0u32..4).prop_map(|(rows, node)| {
        let members = ["a", "b", "c"].map(|name| Bytes::from_static(name.as_bytes())).into();
        let ring_size = Some(rows.len() as u32);
        let said = OmbakRowsResp { epoch: Some(1), ring_size, members, node: Some(node), rows };
        let mut out = Vec::new();
        Response::Rows(said).encode_frame(&mut out);
        out.split_off(ombak_wire::FRAME_HEADER_BYTES)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_table(mut body in table(), at: prop::sample::Index, byte: Option<u8>) {
        if let Some(byte) = byte {
            let at = at.index(body.len());
            body[at] = byte;
        }
        rows(&body);
    }

    #[test]
    fn any_bytes_as_answers(input in vec(prop_oneof![3 => Just(0u8), 2 => 0u8..11, 1 => any::<u8>()], 0..200)) {
        answers(&input);
    }

    #[test]
    fn likely_frames_as_answers(frames in vec((prop::sample::select(&[0u8, 2, 10, 12, 18, 241][..]), vec(0u8..12, 0..20)), 0..6)) {
        let mut input = Vec::new();
        for (code, body) in frames {
            input.extend((body.len() as u32 + 1).to_be_bytes());
            input.push(code);
            input.extend(body);
        }
        answers(&input);
    }
}
