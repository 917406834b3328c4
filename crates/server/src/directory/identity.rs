//! The file that says whose directory it is: a few lines of TOML, written once.

use std::collections::BTreeMap;

use ombak_base::{ClusterId, DirectoryId};

use super::cluster_text;

/// The format of directories that this version makes, and the newest that it takes.
pub(crate) const FORMAT: u32 = 1;

/// Whose directory it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub node: String,
    pub ring_size: u32,
    pub cluster: ClusterId,
    pub members: Vec<String>,
    /// Drawn when the directory was made.
    pub directory: DirectoryId,
}

impl Identity {
    /// Names have neither quotes nor backslashes: see `StartError::Name`.
    pub fn to_text(&self) -> String {
        format!(
            "# Whose data this is. Written once by Ombak; not to be edited.\n\
             format = {FORMAT}\n\
             node = \"{}\"\n\
             ring_size = {}\n\
             members = \"{}\"\n\
             cluster = \"{}\"\n\
             directory = \"{:016x}\"\n",
            self.node,
            self.ring_size,
            self.members.join(" "),
            cluster_text(self.cluster),
            self.directory.0,
        )
    }

    /// Reads what `to_text` wrote.
    pub fn from_text(text: &str) -> Result<Identity, String> {
        let lines = lines(text);
        let field = |name: &str| lines.get(name).copied().ok_or(format!("no `{name}`"));
        let number =
            |name: &str| field(name)?.parse().map_err(|_| format!("`{name}` is no number"));
        let id = |name: &str| {
            u64::from_str_radix(field(name)?, 16).map_err(|_| format!("`{name}` is no id"))
        };
        Ok(Identity {
            node: field("node")?.into(),
            ring_size: number("ring_size")?,
            cluster: ClusterId(id("cluster")?),
            members: field("members")?.split(' ').map(str::to_string).collect(),
            directory: DirectoryId(id("directory")?),
        })
    }
}

/// The format alone, which every later version writes the same way.
pub(crate) fn format_of(text: &str) -> Result<u32, String> {
    let format = lines(text).get("format").and_then(|format| format.parse().ok());
    format.filter(|format| *format > 0).ok_or("no `format`".into())
}

fn lines(text: &str) -> BTreeMap<&str, &str> {
    let line = |line: &'_ str| !line.starts_with('#');
    let pairs = text.lines().filter(|text| line(text)).filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))).collect()
}
