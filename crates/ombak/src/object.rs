//! `ombak get`, `put` and `del`: one key, over HTTP as Riak speaks it.

pub(crate) mod siblings;
pub(crate) mod target;

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use ureq::http::Method;

use crate::error::CliError;
use crate::http_client::{Answer, NodeArgs, NodeClient};
use crate::output::{print_bytes, print_json};

use siblings::Siblings;
use target::{Target, parameters};

const CONTEXT_HEADER: &str = "X-Riak-Vclock";

const GET_EXAMPLES: &str = "\
Examples:
  ombak get users alice                  the value, as it is, to standard output
  ombak get --json users alice           with its metadata and causal context
  ombak get carts/open alice             bucket `open` of bucket type `carts`
  ombak get default/a/b alice            bucket `a/b`: a slash needs the type in front
  ombak get --sibling VTAG users alice   one of several concurrent values

Exit codes: 0 found, 1 not found, 2 wrong usage, 3 error.";

/// Read a key and print its value.
#[derive(Args, Debug)]
#[command(after_help = GET_EXAMPLES)]
pub struct GetArgs {
    #[command(flatten)]
    target: Target,
    /// Replies to wait for: a number, one, quorum, all or default.
    #[arg(long, value_name = "QUORUM", value_parser = target::quorum)]
    r: Option<String>,
    /// Replies from primaries to wait for.
    #[arg(long, value_name = "QUORUM", value_parser = target::quorum)]
    pr: Option<String>,
    /// Of several concurrent values, print the one with this tag.
    #[arg(long, value_name = "VTAG")]
    sibling: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
    /// Print value, metadata and causal context as JSON.
    #[arg(long)]
    json: bool,
}

const PUT_EXAMPLES: &str = "\
Examples:
  ombak put users alice 'hello'
  ombak put pictures cat --file cat.png --content-type image/png
  date | ombak put log now -
  ombak put users alice 'merged' --context a85hYGBg…     replaces what `ombak get --json` showed

Without --context the value is a write of its own: where the bucket has allow_mult, it stands beside
those that are there already.";

/// Write a key.
#[derive(Args, Debug)]
#[command(after_help = PUT_EXAMPLES)]
pub struct PutArgs {
    #[command(flatten)]
    target: Target,
    /// The value; `-` reads it from standard input.
    #[arg(required_unless_present = "file", conflicts_with = "file", allow_hyphen_values = true)]
    value: Option<String>,
    /// Read the value from a file.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Media type [default: text/plain for UTF-8, else application/octet-stream]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// The causal context of what this value replaces, from `ombak get --json`.
    #[arg(long)]
    context: Option<String>,
    /// Replies to wait for: a number, one, quorum, all or default.
    #[arg(long, value_name = "QUORUM", value_parser = target::quorum)]
    w: Option<String>,
    /// Durable replies to wait for.
    #[arg(long, value_name = "QUORUM", value_parser = target::quorum)]
    dw: Option<String>,
    /// Replies from primaries to wait for.
    #[arg(long, value_name = "QUORUM", value_parser = target::quorum)]
    pw: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
    /// Say as JSON what was done.
    #[arg(long)]
    json: bool,
}

const DEL_EXAMPLES: &str = "\
Examples:
  ombak del users alice
  ombak del users alice --context a85hYGBg…     a value written since then stays

Exit codes: 0 deleted, 1 not found, 2 wrong usage, 3 error.";

/// Delete a key.
#[derive(Args, Debug)]
#[command(after_help = DEL_EXAMPLES)]
pub struct DelArgs {
    #[command(flatten)]
    target: Target,
    /// The causal context of what is deleted, from `ombak get --json` [default: what is there now]
    #[arg(long)]
    context: Option<String>,
    /// Replies to wait for when reading: a number, one, quorum, all or default.
    #[arg(long, value_name = "QUORUM", value_parser = target::quorum)]
    r: Option<String>,
    /// Replies to wait for when writing.
    #[arg(long, value_name = "QUORUM", value_parser = target::quorum)]
    w: Option<String>,
    /// Durable replies to wait for.
    #[arg(long, value_name = "QUORUM", value_parser = target::quorum)]
    dw: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
    /// Say as JSON what was done.
    #[arg(long)]
    json: bool,
}

/// `ombak get`.
pub fn get(args: &GetArgs) -> Result<(), CliError> {
    let node = NodeClient::new(&args.node);
    let path = parameters(
        &args.target.path()?,
        &[("r", &args.r), ("pr", &args.pr), ("vtag", &args.sibling)],
    );
    let accept = [("Accept", "multipart/mixed, */*;q=0.9")];
    let answer = node.request(Method::GET, &path, &accept, None)?;
    match answer.status {
        200 if args.json => print_json(&siblings::single(&answer)),
        200 => print_bytes(&answer.body),
        300 => show_siblings(args, &node, &answer),
        404 => Err(missing(&node, &args.target, &answer)),
        _ => Err(node.refusal(&answer)),
    }
}

fn show_siblings(args: &GetArgs, node: &NodeClient, answer: &Answer) -> Result<(), CliError> {
    let siblings = Siblings::parse(answer).map_err(|what| node.not_ombak(what))?;
    if args.json {
        return print_json(&siblings.json());
    }
    eprintln!(
        "{} has {} concurrent values: print one with --sibling VTAG, or replace all of them with `ombak put … \
         --context {}`",
        args.target,
        siblings.len(),
        siblings.context().unwrap_or("?"),
    );
    siblings.print()
}

/// `ombak put`.
pub fn put(args: &PutArgs) -> Result<(), CliError> {
    let path =
        parameters(&args.target.path()?, &[("w", &args.w), ("dw", &args.dw), ("pw", &args.pw)]);
    let value = value(args)?;
    let content_type = args.content_type.as_deref().unwrap_or_else(|| guess_type(&value));
    let mut headers = vec![("Content-Type", content_type)];
    headers.extend(args.context.as_deref().map(|context| (CONTEXT_HEADER, context)));
    let node = NodeClient::new(&args.node);
    let answer = node.request(Method::PUT, &path, &headers, Some(&value))?;
    match answer.status {
        200 | 201 | 204 | 300 if args.json => {
            print_json(&args.target.json(&[("bytes", json!(value.len()))]))
        }
        200 | 201 | 204 | 300 => Ok(()),
        _ => Err(node.refusal(&answer)),
    }
}

fn value(args: &PutArgs) -> Result<Vec<u8>, CliError> {
    match (&args.file, args.value.as_deref()) {
        (Some(path), _) => fs::read(path).map_err(|error| {
            CliError::failed(format!(
                "cannot read {} ({error}): give another --file",
                path.display()
            ))
        }),
        (None, Some("-")) => {
            let mut value = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut value);
            let cannot = |error| {
                CliError::failed(format!("cannot read the value from standard input: {error}"))
            };
            read.map(|_| value).map_err(cannot)
        }
        (None, value) => Ok(value.unwrap_or_default().as_bytes().to_vec()),
    }
}

fn guess_type(value: &[u8]) -> &'static str {
    match std::str::from_utf8(value) {
        Ok(_) => "text/plain; charset=utf-8",
        Err(_) => "application/octet-stream",
    }
}

/// `ombak del`.
pub fn del(args: &DelArgs) -> Result<(), CliError> {
    let path =
        parameters(&args.target.path()?, &[("r", &args.r), ("w", &args.w), ("dw", &args.dw)]);
    let headers: Vec<_> =
        args.context.as_deref().map(|context| (CONTEXT_HEADER, context)).into_iter().collect();
    let node = NodeClient::new(&args.node);
    let answer = node.request(Method::DELETE, &path, &headers, None)?;
    match answer.status {
        200 | 204 if args.json => print_json(&args.target.json(&[("deleted", json!(true))])),
        200 | 204 => Ok(()),
        404 => Err(missing(&node, &args.target, &answer)),
        _ => Err(node.refusal(&answer)),
    }
}

/// A 404 is about the key, about its bucket type, or from somebody who is no database at all.
fn missing(node: &NodeClient, target: &Target, answer: &Answer) -> CliError {
    let text = String::from_utf8_lossy(&answer.body);
    match text.trim() {
        "not found" | "" => CliError::NotFound(format!("{target} is not found")),
        text if text.starts_with("Unknown bucket type") => CliError::failed(format!(
            "{text}: a bucket with a slash in its name is written default/BUCKET"
        )),
        _ => node.refusal(answer),
    }
}
