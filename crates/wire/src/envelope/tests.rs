use super::*;

fn bytes(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

fn put() -> RpbPutReq {
    let content = RpbContent {
        value: bytes("v"),
        content_type: bytes("text/plain"),
        links: vec![RpbLink { bucket: bytes("b"), key: bytes("l"), tag: bytes("t") }],
        usermeta: vec![RpbPair { key: bytes("m"), value: bytes("1") }],
        indexes: vec![RpbPair { key: bytes("i_int"), value: bytes("7") }],
        ..RpbContent::default()
    };
    RpbPutReq {
        bucket: bytes("b"),
        key: bytes("k"),
        content: Some(content),
        w: Some(crate::quorum::QUORUM),
        return_body: Some(true),
        bucket_type: bytes("t"),
        node_confirms: Some(2),
        ..RpbPutReq::default()
    }
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn request_hex(request: &Request) -> String {
    let mut out = Vec::new();
    request.encode_frame(&mut out);
    hex(&out)
}

fn response_hex(response: &Response) -> String {
    let mut out = Vec::new();
    response.encode_frame(&mut out);
    hex(&out)
}

#[test]
fn requests_have_these_bytes_for_ever() {
    assert_eq!(request_hex(&Request::Ping), "0000000101");
    let get = RpbGetReq {
        bucket: bytes("b"),
        key: bytes("k"),
        r: Some(crate::quorum::ONE),
        node_confirms: Some(1),
        ..RpbGetReq::default()
    };
    assert_eq!(request_hex(&Request::Get(get)), "0000000f090a016212016b18feffffff0f7001");
    assert_eq!(
        request_hex(&Request::Put(put())),
        "000000460b0a016212016b222e0a0176120a746578742f706c61696e32090a016212016c1a01744a060a016d1201\
         31520a0a05695f696e7412013728fdffffff0f380182010174880102"
    );
}

#[test]
fn responses_have_these_bytes_for_ever() {
    assert_eq!(response_hex(&Response::error("no")), "00000007000a026e6f1000");
    assert_eq!(response_hex(&Response::Del), "000000010e");
    assert_eq!(response_hex(&Response::Get(RpbGetResp::default())), "000000010a");
}

fn rows() -> OmbakRowsResp {
    let row = |owners: &[u32]| OmbakRow { owners: owners.into() };
    OmbakRowsResp {
        epoch: Some(300),
        ring_size: Some(2),
        members: ["a@h", "b@h"].map(|name| Bytes::from_static(name.as_bytes())).into(),
        node: Some(1),
        rows: vec![row(&[0, 1]), row(&[1, 0])],
    }
}

#[test]
fn ombaks_own_messages_have_these_bytes_for_ever() {
    assert_eq!(request_hex(&Request::Rows), "00000001f0");
    assert_eq!(
        response_hex(&Response::Rows(rows())),
        "0000001ef108ac0210021a036140681a0362406820012a040a0200012a040a020100"
    );
}

#[test]
fn rows_that_cannot_be_are_refused() {
    let refused = |change: fn(&mut OmbakRowsResp)| {
        let mut rows = rows();
        change(&mut rows);
        Response::decode(241, rows.encode_to_vec().into()).unwrap_err()
    };
    assert_eq!(refused(|rows| rows.epoch = None), WireError::Missing("epoch"));
    assert_eq!(refused(|rows| rows.node = None), WireError::Missing("node"));
    assert_eq!(refused(|rows| rows.node = Some(2)), WireError::Invalid("node"));
    assert_eq!(refused(|rows| rows.ring_size = Some(3)), WireError::Invalid("ring_size"));
    assert_eq!(refused(|rows| rows.ring_size = Some(1 << 31)), WireError::Invalid("ring_size"));
    assert_eq!(refused(|rows| rows.ring_size = Some(4)), WireError::Invalid("rows"));
    assert_eq!(refused(|rows| rows.rows[0].owners[1] = 2), WireError::Invalid("owners"));
    assert_eq!(refused(|rows| rows.rows[0].owners.push(1)), WireError::Invalid("owners"));
    let many = vec![OmbakRow::default(); crate::FIELDS_MAX];
    let many = OmbakRowsResp { rows: many, ..rows() };
    let decoded = Response::decode(241, many.encode_to_vec().into());
    assert_eq!(decoded, Err(WireError::TooManyFields));
}

#[test]
fn frames_are_appended() {
    let mut out = vec![0xff];
    Request::Ping.encode_frame(&mut out);
    Request::GetServerInfo.encode_frame(&mut out);
    assert_eq!(hex(&out), "ff00000001010000000107");
}

#[test]
fn a_value_shares_the_memory_of_its_frame() {
    let body = Bytes::from(put().encode_to_vec());
    let memory = body.as_ptr_range();
    let Ok(Request::Put(put)) = Request::decode(11, body.clone()) else { panic!("not a put") };
    let content = put.content.unwrap();
    for part in [put.bucket.unwrap(), content.value.unwrap(), content.links[0].key.clone().unwrap()]
    {
        assert!(memory.contains(&part.as_ptr()));
    }
}

#[test]
fn missing_required_fields_are_named() {
    for (code, body, field) in [
        (5, &b""[..], "client_id"),
        (9, b"", "bucket"),
        (9, b"\x0a\x01b", "key"),
        (11, b"\x0a\x01b", "content"),
        (11, b"\x0a\x01b\x22\x00", "value"),
        (11, b"\x0a\x01b\x22\x04\x0a\x00\x4a\x00", "key"),
        (21, b"\x0a\x01b", "props"),
        (21, b"\x0a\x01b\x12\x04\x22\x02\x0a\x00", "module"),
        (31, b"", "type"),
    ] {
        let decoded = Request::decode(code, Bytes::from_static(body));
        assert_eq!(decoded, Err(WireError::Missing(field)), "code {code}");
    }
    assert_eq!(Response::decode(0, Bytes::new()), Err(WireError::Missing("errmsg")));
}

#[test]
fn an_empty_key_is_not_a_missing_one() {
    let decoded = Request::decode(9, Bytes::from_static(b"\x0a\x01b\x12\x00"));
    assert!(matches!(decoded, Ok(Request::Get(get)) if get.key == Some(Bytes::new())));
}

#[test]
fn codes_travel_in_one_direction() {
    assert_eq!(Request::decode(10, Bytes::new()), Err(WireError::UnknownCode(10)));
    assert_eq!(Response::decode(9, Bytes::new()), Err(WireError::UnknownCode(9)));
    assert_eq!(WireError::UnknownCode(111).to_string(), "Unknown message code: 111");
}

#[test]
fn a_body_where_none_belongs_is_ignored() {
    assert_eq!(Request::decode(1, Bytes::from_static(b"?")), Ok(Request::Ping));
}

#[test]
fn unknown_fields_are_skipped() {
    let body = Bytes::from_static(b"\x0a\x01b\x12\x01k\xfa\x07\x03new");
    assert!(matches!(Request::decode(9, body), Ok(Request::Get(_))));
}

#[test]
fn a_put_of_nothing_but_links_is_refused_before_it_is_built() {
    let links = [0x32, 0].repeat(crate::FIELDS_MAX);
    let mut body = b"\x0a\x01b\x22".to_vec();
    prost::encoding::encode_varint(links.len() as u64, &mut body);
    body.extend_from_slice(&links);
    assert_eq!(Request::decode(11, body.into()), Err(WireError::TooManyFields));
}
