use super::*;

#[test]
fn several_values_have_to_become_one() {
    let mut object = Object::new("b", "k", "one");
    object.values.push("two".into());
    assert_eq!(object.value(), Err(Error::Siblings(2)));
    object.resolve(|values| values.iter().filter_map(Value::text).collect::<String>().into());
    assert_eq!(object.value().unwrap().text(), Some("onetwo"));
    object.resolve(|_| panic!("there is nothing to resolve"));
}

#[test]
fn a_value_keeps_what_it_is_given() {
    let value = Value::from("x").with_metadata("m", "1").with_metadata("m", "2");
    let value = value.with_link("b", "k", "t");
    assert_eq!((value.metadata("m"), value.metadata("n")), (Some(&b"2"[..]), None));
    assert_eq!(value.links().collect::<Vec<_>>(), [(&b"b"[..], &b"k"[..], &b"t"[..])]);
    assert_eq!(value.content_type(), Some("text/plain"));
    assert_eq!(Value::from_wire(value.as_wire().clone()), value);
    assert_eq!(value.last_modified(), None);
    assert_eq!(Value::from(vec![0xff]).text(), None);
}

#[test]
fn the_default_type_has_no_name() {
    assert_eq!(Bucket::typed("default", "b"), Bucket::from("b"));
    assert_eq!(Bucket::typed("maps", "b").type_field(), Some(Bytes::from_static(b"maps")));
}
