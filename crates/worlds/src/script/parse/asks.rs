//! What a client asks, from the words that stand behind its name and place.

use ombak_kv::{Quorum, Quorums};
use ombak_paxos::locks::Mode;

use super::{Parsed, after, bucket_of, key_of, number};
use crate::script::{Ask, Condition, Locking};
use crate::workload::PRINTERS;

/// The request that such words are.
pub(super) fn ask_of(words: &[&str]) -> Parsed<Ask> {
    match words {
        ["get", key, options @ ..] => {
            let (key, mut options) = (key_of(key)?, Options::of(options)?);
            let (basic_quorum, notfound_ok) =
                (options.flag("basic-quorum")?, options.flag("notfound-ok")?);
            Ok(Ask::Get { key, quorums: options.rest()?, basic_quorum, notfound_ok })
        }
        ["put", key, options @ ..] => {
            let (key, mut options) = (key_of(key)?, Options::of(options)?);
            let (after_read, is_large) = (options.word("after-read"), options.word("large"));
            let condition = match (options.word("none-match"), options.word("not-modified")) {
                (false, false) => Condition::None,
                (true, false) => Condition::NoneMatch,
                (false, true) => Condition::NotModified,
                (true, true) => return Err("none-match or not-modified, not both".into()),
            };
            Ok(Ask::Put { key, quorums: options.rest()?, after_read, condition, is_large })
        }
        ["delete", key, options @ ..] => {
            let (key, mut options) = (key_of(key)?, Options::of(options)?);
            let after_read = options.word("after-read");
            Ok(Ask::Delete { key, quorums: options.rest()?, after_read })
        }
        ["list", "buckets"] => Ok(Ask::List(None)),
        ["list", bucket] => Ok(Ask::List(Some(bucket_of(bucket)?))),
        _ => locking_of(words).map(Ask::Lock),
    }
}

fn locking_of(words: &[&str]) -> Parsed<Locking> {
    match words {
        ["session", lease_ms] => Ok(Locking::Session { lease_ms: number(lease_ms)? }),
        ["lock", printer, mode, options @ ..] => {
            let (printer, mode) = (printer_of(printer)?, mode_of(mode)?);
            let mut options = Options::of(options)?;
            let (writes, wait_ms) = (options.word("writes"), options.number("wait")?);
            options.none().map(|()| Locking::Lock { printer, mode, wait_ms, writes })
        }
        ["unlock", printer, options @ ..] => {
            let (printer, mut options) = (printer_of(printer)?, Options::of(options)?);
            let writes = options.word("writes");
            options.none().map(|()| Locking::Unlock { printer, writes })
        }
        ["use", printer] => printer_of(printer).map(Locking::Use),
        ["again"] => Ok(Locking::Again),
        _ => Err(format!("\"{}\" is nothing that a client asks", words.join(" "))),
    }
}

fn printer_of(text: &str) -> Parsed<usize> {
    let printer: usize = after(text, 'p', "printer")?;
    let is_known = printer < PRINTERS;
    if is_known { Ok(printer) } else { Err(format!("{text}: there are {PRINTERS} printers")) }
}

fn mode_of(text: &str) -> Parsed<Mode> {
    let mode = Mode::ALL.into_iter().find(|mode| mode.to_string() == text);
    mode.ok_or_else(|| format!("\"{text}\" is no mode: NL, CR, CW, PR, PW, EX"))
}

/// What follows the key: words, and `name=value`.
struct Options<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> Options<'a> {
    fn of(words: &[&'a str]) -> Parsed<Options<'a>> {
        let options = words.iter().map(|word| match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (*word, None),
        });
        Ok(Options(options.collect()))
    }

    fn word(&mut self, wanted: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(name, value)| *name != wanted || value.is_some());
        self.0.len() < before
    }

    fn flag(&mut self, wanted: &str) -> Parsed<Option<bool>> {
        let place = self.0.iter().position(|(name, _)| *name == wanted);
        match place.map(|place| self.0.remove(place).1) {
            None => Ok(None),
            Some(Some("true")) => Ok(Some(true)),
            Some(Some("false")) => Ok(Some(false)),
            Some(_) => Err(format!("{wanted}=true or {wanted}=false, please")),
        }
    }

    fn number(&mut self, wanted: &str) -> Parsed<Option<u32>> {
        let place = self.0.iter().position(|(name, value)| *name == wanted && value.is_some());
        let value = place.and_then(|place| self.0.remove(place).1);
        value.map(number).transpose()
    }

    fn none(self) -> Parsed<()> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("\"{name}\" means nothing here")),
        }
    }

    /// Everything that is left must be a quorum, or how many nodes must confirm.
    fn rest(self) -> Parsed<Quorums> {
        let mut quorums = Quorums::default();
        for (name, value) in self.0 {
            let Some(value) = value else { return Err(format!("\"{name}\" means nothing here")) };
            if name == "node-confirms" {
                quorums.node_confirms = Some(number(value)?);
                continue;
            }
            let quorum = match value {
                "one" => Quorum::One,
                "quorum" => Quorum::Quorum,
                "all" => Quorum::All,
                count => Quorum::Count(number(count)?),
            };
            match name {
                "r" => quorums.r = quorum,
                "pr" => quorums.pr = quorum,
                "w" => quorums.w = quorum,
                "dw" => quorums.dw = quorum,
                "pw" => quorums.pw = quorum,
                "rw" => quorums.rw = quorum,
                _ => return Err(format!("\"{name}={value}\" means nothing here")),
            }
        }
        Ok(quorums)
    }
}
