//! `ombak bucket`: which buckets there are, how many keys they have, and their properties; over HTTP as Riak speaks it.

use std::io::{BufReader, Read};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use ureq::http::Method;

use crate::error::CliError;
use crate::http_client::{NodeArgs, NodeClient};
use crate::object::target::BucketName;
use crate::output::{print_json, print_line, print_table, table};

/// A listing takes as long as there are keys.
const LISTING_PATIENCE: Duration = Duration::from_secs(3600);

const EXAMPLES: &str = "\
Examples:
  ombak bucket list                                buckets that have keys
  ombak bucket count users                         how many keys
  ombak bucket keys users | head                   one key a line, in no order
  ombak bucket props users                         all properties
  ombak bucket props users --set allow_mult=true --set n_val=3
  ombak bucket props users --reset                 back to the defaults

list, count and keys read every key of the cluster once: not for every request of an application.
Exit codes: 0 done, 2 wrong usage, 3 error.";

/// List buckets, count keys, show and change properties.
#[derive(Subcommand, Debug)]
#[command(after_help = EXAMPLES)]
pub enum BucketCommand {
    /// List the buckets that have keys.
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
    /// Count the keys of a bucket.
    #[command(after_help = EXAMPLES)]
    Count(KeysArgs),
    /// Print the keys of a bucket, one a line.
    #[command(after_help = EXAMPLES)]
    Keys(KeysArgs),
    /// Show the properties of a bucket, or change some.
    #[command(after_help = EXAMPLES)]
    Props(PropsArgs),
}

/// `ombak bucket list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Print a JSON list.
    #[arg(long)]
    json: bool,
}

/// `ombak bucket count` and `keys`.
#[derive(Args, Debug)]
pub struct KeysArgs {
    #[command(flatten)]
    bucket: BucketName,
    #[command(flatten)]
    node: NodeArgs,
    /// Print JSON: an object with the count, or a string a line.
    #[arg(long)]
    json: bool,
}

/// `ombak bucket props`.
#[derive(Args, Debug)]
pub struct PropsArgs {
    #[command(flatten)]
    bucket: BucketName,
    /// Change a property; the value is JSON, or else text.
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, Value)>,
    /// Set all properties back to the defaults.
    #[arg(long, conflicts_with = "set")]
    reset: bool,
    #[command(flatten)]
    node: NodeArgs,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// `ombak bucket …`.
pub fn run(command: &BucketCommand) -> Result<(), CliError> {
    match command {
        BucketCommand::List(args) => list(args),
        BucketCommand::Count(args) => count(args),
        BucketCommand::Keys(args) => keys(args),
        BucketCommand::Props(args) => props(args),
    }
}

/// A piece of a listing, or why there are no more.
#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    buckets: Vec<String>,
    error: Option<String>,
}

/// Reads a listing that comes in pieces, of which none is kept.
fn pieces(
    node: &NodeClient,
    path: &str,
    mut each: impl FnMut(Piece) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let reader: Box<dyn Read> = node.stream(path)?;
    let pieces = serde_json::Deserializer::from_reader(BufReader::new(reader)).into_iter();
    for piece in pieces {
        let piece: Piece = piece.map_err(|error| {
            CliError::failed(format!(
                "the listing of {} broke off ({error}): try again",
                node.node()
            ))
        })?;
        if let Some(error) = piece.error {
            return Err(CliError::failed(format!(
                "{} could not list everything ({error}): `ombak status` says who is up",
                node.node()
            )));
        }
        each(piece)?;
    }
    Ok(())
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let node = NodeClient::with_patience(&args.node, LISTING_PATIENCE);
    let mut buckets = Vec::new();
    pieces(&node, "/buckets?buckets=stream", |piece| {
        buckets.extend(piece.buckets);
        Ok(())
    })?;
    buckets.sort();
    if args.json {
        return print_json(&json!(buckets));
    }
    buckets.iter().try_for_each(|bucket| print_line(bucket))
}

fn count(args: &KeysArgs) -> Result<(), CliError> {
    let node = NodeClient::with_patience(&args.node, LISTING_PATIENCE);
    let path = format!("{}/keys?keys=stream", args.bucket.path()?);
    let bar = ProgressBar::new_spinner();
    let mut keys = 0_u64;
    let counted = pieces(&node, &path, |piece| {
        keys += piece.keys.len() as u64;
        bar.set_message(format!("{keys} keys"));
        bar.tick();
        Ok(())
    });
    bar.finish_and_clear();
    counted?;
    if args.json {
        return print_json(&args.bucket.json(&[("keys", json!(keys))]));
    }
    print_line(&keys.to_string())
}

fn keys(args: &KeysArgs) -> Result<(), CliError> {
    let node = NodeClient::with_patience(&args.node, LISTING_PATIENCE);
    let path = format!("{}/keys?keys=stream", args.bucket.path()?);
    pieces(&node, &path, |piece| {
        piece.keys.iter().try_for_each(|key| match args.json {
            true => print_line(&json!(key).to_string()),
            false => print_line(key),
        })
    })
}

fn props(args: &PropsArgs) -> Result<(), CliError> {
    let node = NodeClient::new(&args.node);
    let path = format!("{}/props", args.bucket.path()?);
    if args.reset {
        change(&node, Method::DELETE, &path, None)?;
    } else if !args.set.is_empty() {
        let set: Map<String, Value> = args.set.iter().cloned().collect();
        let body = json!({ "props": set }).to_string();
        change(&node, Method::PUT, &path, Some(body.as_bytes()))?;
    }
    let said = node.json(Method::GET, &path)?;
    if args.json {
        return print_json(&said["props"]);
    }
    let props = said["props"].as_object().ok_or_else(|| node.not_ombak("no `props`"))?;
    let mut rows = table(&["property", "value"]);
    for (name, value) in props {
        rows.add_row([name.clone(), value.as_str().map_or(value.to_string(), str::to_string)]);
    }
    print_table(&rows)
}

fn change(
    node: &NodeClient,
    method: Method,
    path: &str,
    body: Option<&[u8]>,
) -> Result<(), CliError> {
    let answer = node.request(method, path, &[("Content-Type", "application/json")], body)?;
    match answer.status {
        200 | 204 => Ok(()),
        _ => Err(node.refusal(&answer)),
    }
}

/// `NAME=VALUE`, the value as JSON if it is any.
fn assignment(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').unwrap_or_default();
    if name.is_empty() {
        return Err("a property is NAME=VALUE, such as allow_mult=true".into());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
    Ok((name.to_string(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_or_text() {
        assert_eq!(assignment("n_val=3"), Ok(("n_val".into(), json!(3))));
        assert_eq!(assignment("allow_mult=true"), Ok(("allow_mult".into(), json!(true))));
        assert_eq!(assignment("w=quorum"), Ok(("w".into(), json!("quorum"))));
        assert!(assignment("allow_mult").is_err() && assignment("=3").is_err());
    }
}
