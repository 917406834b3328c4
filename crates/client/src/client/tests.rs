use ombak_wire::RpbContent;

use super::*;

fn content(value: &'static str, deleted: Option<bool>) -> RpbContent {
    let value = Some(Bytes::from_static(value.as_bytes()));
    RpbContent { value, deleted, ..RpbContent::default() }
}

#[test]
fn a_deletion_beside_a_value_is_not_shown_and_alone_is_nothing() {
    let got = |content| RpbGetResp { content, ..RpbGetResp::default() };
    let read = |content| read_object("b".into(), Bytes::new(), got(content));
    assert_eq!(read(vec![]), None);
    assert_eq!(read(vec![content("", Some(true))]), None);
    let object = read(vec![content("", Some(true)), content("v", None)]).unwrap();
    assert_eq!(object.value().unwrap().text(), Some("v"));
}

#[test]
fn futures_may_be_spawned() {
    fn is_send<T: Send>(_: T) {}
    #[expect(unused, reason = "to be compiled is all it has to do")]
    fn all(client: &Client, object: &Object) {
        is_send(client.get("b", "k"));
        is_send(client.put(object));
        is_send(client.delete("b", "k"));
        is_send(client.list_keys("b"));
        is_send(client.clone());
    }
}
