//! Which object, and under what conditions.

use std::fmt;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::error::CliError;
use crate::http_client::encode;

/// The bucket type that every cluster has.
const DEFAULT_TYPE: &str = "default";

/// A bucket's name.
#[derive(Args, Debug)]
pub struct BucketName {
    /// The bucket, with its bucket type in front if that is not `default`.
    #[arg(value_name = "[TYPE/]BUCKET")]
    bucket: String,
}

impl BucketName {
    fn type_and_bucket(&self) -> (&str, &str) {
        self.bucket.split_once('/').unwrap_or((DEFAULT_TYPE, &self.bucket))
    }

    /// The bucket's path over HTTP.
    pub fn path(&self) -> Result<String, CliError> {
        let (bucket_type, bucket) = self.type_and_bucket();
        if bucket_type.is_empty() || bucket.is_empty() {
            return Err(CliError::usage(
                "bucket type and bucket cannot be empty: write `ombak bucket count users` or `ombak bucket count \
                 TYPE/users`",
            ));
        }
        let prefix = match bucket_type {
            DEFAULT_TYPE => String::new(),
            other => format!("/types/{}", encode(other)),
        };
        Ok(format!("{prefix}/buckets/{}", encode(bucket)))
    }

    /// The bucket's name and what is to be said of it.
    pub fn json(&self, said: &[(&str, Value)]) -> Value {
        let (bucket_type, bucket) = self.type_and_bucket();
        let names = [("type", json!(bucket_type)), ("bucket", json!(bucket))];
        let all = names.iter().chain(said);
        Value::Object(
            all.map(|(name, value)| (name.to_string(), value.clone())).collect::<Map<_, _>>(),
        )
    }
}

/// One object's name.
#[derive(Args, Debug)]
pub struct Target {
    #[command(flatten)]
    bucket: BucketName,
    /// The key.
    key: String,
}

impl Target {
    /// The object's path over HTTP.
    pub fn path(&self) -> Result<String, CliError> {
        match self.bucket.path() {
            Ok(bucket) if !self.key.is_empty() => {
                Ok(format!("{bucket}/keys/{}", encode(&self.key)))
            }
            _ => Err(CliError::usage(
                "bucket type, bucket and key cannot be empty: write `ombak get users alice` or `ombak get TYPE/users \
                 alice`",
            )),
        }
    }

    /// The object's name and what is to be said of it.
    pub fn json(&self, said: &[(&str, Value)]) -> Value {
        let key = [("key", json!(self.key))];
        self.bucket.json(&key.iter().chain(said).cloned().collect::<Vec<_>>())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket.bucket, self.key)
    }
}

/// A path with the parameters that are given.
pub fn parameters(path: &str, given: &[(&str, &Option<String>)]) -> String {
    let pair = |(name, value): &(&str, &Option<String>)| {
        value.as_ref().map(|value| format!("{name}={}", encode(value)))
    };
    let pairs: Vec<String> = given.iter().filter_map(pair).collect();
    if pairs.is_empty() { path.to_string() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A quorum, checked before anything is sent.
pub fn quorum(text: &str) -> Result<String, String> {
    let named = matches!(text, "one" | "quorum" | "all" | "default");
    if named || text.parse::<u16>().is_ok() {
        Ok(text.to_string())
    } else {
        Err("a quorum is a number, one, quorum, all or default".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(bucket: &str, key: &str) -> Target {
        Target { bucket: BucketName { bucket: bucket.into() }, key: key.into() }
    }

    #[test]
    fn a_slash_divides_type_from_bucket_once() {
        let paths = [
            ("users", "alice", "/buckets/users/keys/alice"),
            ("carts/open", "a b", "/types/carts/buckets/open/keys/a%20b"),
            ("default/a/b", "c/d", "/buckets/a%2Fb/keys/c%2Fd"),
        ];
        for (bucket, key, path) in paths {
            assert_eq!(target(bucket, key).path().unwrap(), path);
        }
    }

    #[test]
    fn empty_names_are_refused_here() {
        for (bucket, key) in [("", "k"), ("b", ""), ("/b", "k"), ("t/", "k")] {
            assert!(target(bucket, key).path().is_err(), "{bucket:?} {key:?}");
        }
    }

    #[test]
    fn only_given_parameters_are_sent() {
        let (r, pr) = (Some("2".to_string()), None);
        assert_eq!(parameters("/p", &[("r", &r), ("pr", &pr)]), "/p?r=2");
        assert_eq!(parameters("/p", &[("pr", &pr)]), "/p");
    }

    #[test]
    fn quorums_are_numbers_or_names() {
        assert!(
            ["one", "quorum", "all", "default", "0", "3"].iter().all(|text| quorum(text).is_ok())
        );
        assert!(["", "-1", "most", "99999"].iter().all(|text| quorum(text).is_err()));
    }
}
