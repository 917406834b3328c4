//! Walks along links over HTTP.

use crate::http::{TEXT, put_siblings};
use crate::world::{Http, node};

#[test]
fn a_walk_follows_links_and_shows_what_is_kept() {
    let node = node();
    let mut http = Http::of(&node);
    let mut link = |path: &str, value: &str, links: &str| {
        assert_eq!(http.ask("PUT", path, &[TEXT, ("Link", links)], value.as_bytes()).status, 204);
    };
    link(
        "/buckets/b/keys/start",
        "zero",
        "</buckets/b/keys/a%2Fa>; riaktag=\"x y\", </buckets/c/keys/c>; riaktag=\"z\", </riak/b/gone>; riaktag=\"z\"",
    );
    link("/buckets/b/keys/a%2Fa", "one", "</buckets/b/keys/end>; riaktag=\"t\"");
    // A circle, and the same end as from the other.
    let circle = "</buckets/b/keys/end>; riaktag=\"t\", </buckets/b/keys/start>; riaktag=\"u\"";
    link("/buckets/c/keys/c", "two", circle);
    link("/buckets/b/keys/end", "three", "</buckets/b/keys/end>; riaktag=\"self\"");

    let mut walk = |steps: &str| {
        let answer = http.get(&format!("/buckets/b/keys/start/{steps}"));
        assert_eq!(answer.status, 200, "{steps}: {answer:?}");
        let text = answer.text();
        let shown = |value: &&str| text.contains(&format!("\r\n\r\n{value}\r\n--step-"));
        let values = ["zero", "one", "two", "three"];
        (text.matches("multipart/mixed").count(), values.into_iter().filter(shown).collect())
    };
    let kept = |steps: usize, values: &[&'static str]| (steps, values.to_vec());
    assert_eq!(walk("_,_,_"), kept(1, &["one", "two"]));
    assert_eq!(walk("_,_,0"), kept(1, &["one", "two"]), "the last step is shown anyway");
    assert_eq!(walk("c,_,1"), kept(1, &["two"]));
    assert_eq!(walk("_,x+y,1"), kept(1, &["one"]));
    assert_eq!(walk("nothing,_,1"), kept(1, &[]));
    assert_eq!(walk("_,_,_/_,t,_"), kept(1, &["three"]));
    assert_eq!(walk("_,_,1/_,u,1"), kept(2, &["zero", "one", "two"]));
    assert_eq!(walk("_,_,0/_,t,0/_,self,1/_,self,1"), kept(2, &["three"]));

    let old = http.get("/riak/b/start/_,x%20y,1");
    assert!(old.text().contains("\r\nLocation: /riak/b/a%2Fa\r\n"), "{old:?}");
    assert!(old.header("expires").is_some());
    node.stop().unwrap();
}

#[test]
fn a_walk_shows_one_sibling_and_names_the_others() {
    let node = node();
    let mut http = Http::of(&node);
    put_siblings(&mut http);
    let link = ("Link", "</buckets/b/keys/k>; riaktag=\"t\"");
    http.ask("PUT", "/buckets/b/keys/start", &[TEXT, link], b"");
    let tags = http.get("/buckets/b/keys/k").text();
    let tags: Vec<&str> = tags.lines().skip(1).collect();
    let walk = http.get("/buckets/b/keys/start/_,_,_").text();
    assert!(walk.contains(&format!("Location: /buckets/b/keys/k?vtag={}\r\n", tags[0])), "{walk}");
    assert!(walk.contains(&format!("X-Riak-Sibling-Vtags: {}\r\n", tags[1])), "{walk}");
    node.stop().unwrap();
}

#[test]
fn a_walk_is_bounded_and_says_what_is_wrong_with_it() {
    let node = node();
    let mut http = Http::of(&node);
    http.put("/buckets/b/keys/k", "v");
    let many = vec!["_,_,_"; 17].join("/");
    for bad in ["x", "_,_", "_,_,2", "_,_,_,_", ",_,_", "_,,1", "%zz,_,_", "_,_,_/x", &many] {
        let answer = http.get(&format!("/buckets/b/keys/k/{bad}"));
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
    }
    let path = "/buckets/b/keys/k/_,_,_";
    assert_eq!(http.get(&format!("{path}?r=9")).status, 400);
    assert_eq!(http.get("/buckets/b/keys/none/_,_,_").status, 404);
    assert_eq!(http.ask("GET", path, &[("Accept", "text/html")], b"").status, 406);
    assert_eq!(http.ask("POST", path, &[], b"").status, 204);
    let put = http.ask("PUT", path, &[TEXT], b"");
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD, POST")));
    let links: Vec<String> = (0..1000).map(|n| format!("</riak/b/{n}>; riaktag=\"t\"")).collect();
    let links = [TEXT, ("Link", &links.join(", "))];
    assert_eq!(http.ask("PUT", "/buckets/b/keys/k", &links, b"").status, 204);
    let answer = http.get(path);
    assert!(answer.status == 400 && answer.text().contains("1000 objects"), "{answer:?}");
    node.stop().unwrap();
}
