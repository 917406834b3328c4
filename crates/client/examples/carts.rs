//! Shopping carts that lose nothing: two writers at once, and a reader who merges.
//!
//! With a cluster at hand (`cargo run --release -- demo`):
//!
//! ```sh
//! cargo run -p ombak-client --example carts -- 127.0.0.1:8087 127.0.0.1:8097 127.0.0.1:8107
//! ```

use std::collections::BTreeSet;

use ombak_client::{Client, Error, Object, Value};
use ombak_wire::RpbBucketProps;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let addrs: Vec<String> = std::env::args().skip(1).collect();
    let client = Client::connect(addrs).await?;
    let keep_all = RpbBucketProps { allow_mult: Some(true), ..RpbBucketProps::default() };
    client.set_bucket_props("carts", keep_all).await?;

    // Both have seen the same cart, and neither has seen what the other adds.
    let cart = open(&client, "alice").await?;
    let (mut phone, mut laptop) = (cart.clone(), cart);
    add(&mut phone, "bread");
    add(&mut laptop, "eggs");
    client.put(&phone).await?;
    client.put(&laptop).await?;

    let mut cart = open(&client, "alice").await?;
    println!("{} values, merged: {:?}", cart.values().len(), items(cart.values()));
    cart.resolve(|values| written(&items(values)));
    client.put(&cart).await?; // replaces both, because it has seen both
    println!("now {} value", open(&client, "alice").await?.values().len());
    Ok(())
}

async fn open(client: &Client, user: &str) -> Result<Object, Error> {
    let found = client.get("carts", user).await?;
    Ok(found.unwrap_or_else(|| Object::new("carts", user, "milk")))
}

fn add(cart: &mut Object, item: &str) {
    let mut all = items(cart.values());
    all.insert(item.into());
    cart.set(written(&all));
}

fn items(values: &[Value]) -> BTreeSet<String> {
    values.iter().filter_map(Value::text).flat_map(str::lines).map(String::from).collect()
}

fn written(items: &BTreeSet<String>) -> Value {
    Vec::from_iter(items.iter().map(String::as_str)).join("\n").into()
}
