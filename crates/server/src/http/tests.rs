//! The pure parts: paths, parameters, headers, negotiation.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, HeaderValue, LINK};
use ombak_kv::{BucketId, Link, Quorum};

use super::accept::quality;
use super::links::{link_header, object_path, parse_links};
use super::query::{Params, decode};
use super::route::{Form, Resource, Route};

fn route(path: &str) -> Option<(Resource, String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let route = Route::of(path).unwrap()?;
    Some((route.resource, text(&route.bucket.name), text(&route.key)))
}

#[test]
fn percent_encoding_is_undone_or_refused() {
    assert_eq!(decode("a%2Fb+c%c3%A9").unwrap(), "a/b cé");
    for bad in ["%", "%4", "%zz", "%+1", "a%2"] {
        assert!(decode(bad).is_err(), "{bad}");
    }
}

#[test]
fn paths_name_resources() {
    let named = |resource, bucket: &str, key: &str| Some((resource, bucket.into(), key.into()));
    assert_eq!(route("/"), named(Resource::Root, "", ""));
    assert_eq!(route("/buckets/b/keys/k"), named(Resource::Object, "b", "k"));
    assert_eq!(route("/types/default/buckets/b/keys/k"), named(Resource::Object, "b", "k"));
    assert_eq!(route("/riak/b/k"), named(Resource::Object, "b", "k"));
    assert_eq!(route("/riak/b"), named(Resource::OldBucket, "b", ""));
    assert_eq!(route("/riak/"), named(Resource::Buckets, "", ""));
    assert_eq!(route("/buckets/b/keys/"), named(Resource::Keys, "b", ""));
    assert_eq!(route("/buckets/a%2Fb/keys/c%2Fd"), named(Resource::Object, "a/b", "c/d"));
    assert_eq!(route("/types/default/props"), named(Resource::TypeProps, "", ""));
    assert_eq!(route("/buckets/b/keys/k/_,_,_"), named(Resource::Walk, "b", "k"));
    assert_eq!(route("/riak/b/k/_,_,_/b,t,0"), named(Resource::Walk, "b", "k"));
    for nothing in ["/nothing", "/buckets/b", "/types", "/types/default"] {
        assert_eq!(route(nothing), None, "{nothing}");
    }
    assert!(Route::of("/types/nope/buckets/b/keys/k").is_err());
}

#[test]
fn parameters_are_numbers_or_words() {
    let params = |query: &str| Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
    let quorums = params("r=2&w=all&pr=one&dw=quorum&pw=default").quorums().unwrap();
    assert_eq!(quorums.r, Quorum::Count(2));
    assert_eq!((quorums.w, quorums.pr), (Quorum::All, Quorum::One));
    assert_eq!((quorums.dw, quorums.pw), (Quorum::Quorum, Quorum::Default));
    assert!(params("r=many").quorums().is_err());
    assert_eq!(params("notfound_ok=false").flag("notfound_ok").unwrap(), Some(false));
    assert!(params("timeout=soon").timeout_ms().is_err());
    assert_eq!(params("").timeout_ms().unwrap(), None);
}

#[test]
fn the_most_specific_range_decides() {
    let wanted = |accept: &'static str, media_type| {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        quality(&headers, media_type)
    };
    assert_eq!(quality(&HeaderMap::new(), "a/b"), 1000);
    assert_eq!(wanted("multipart/mixed, */*;q=0.5", "multipart/mixed"), 1000);
    assert_eq!(wanted("multipart/mixed, */*;q=0.5", "text/plain; charset=x"), 500);
    assert_eq!(wanted("text/*, text/plain;q=0", "text/plain"), 0);
    assert_eq!(wanted("image/png", "text/plain"), 0);
    assert_eq!(wanted("a/b;q=nonsense", "a/b"), 0);
}

#[test]
fn links_keep_the_form_of_the_path() {
    let link = Link { bucket: "b c".into(), key: "k/l".into(), tag: "t".into() };
    let bucket = BucketId::default_type("up");
    for (form, header) in [
        (Form::New, "</buckets/b%20c/keys/k%2Fl>; riaktag=\"t\", </buckets/up>; rel=\"up\""),
        (Form::Old, "</riak/b%20c/k%2Fl>; riaktag=\"t\", </riak/up>; rel=\"up\""),
    ] {
        assert_eq!(link_header(form, &bucket, std::slice::from_ref(&link)), header);
        let mut headers = HeaderMap::new();
        headers.insert(LINK, HeaderValue::from_static(header));
        assert_eq!(parse_links(&headers).unwrap(), std::slice::from_ref(&link));
    }
    assert_eq!(object_path(Form::New, b"b", b"k"), "/buckets/b/keys/k");
}
