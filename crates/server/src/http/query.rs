//! Names in paths and parameters behind the question mark.

use bytes::Bytes;
use ombak_kv::{Quorum, Quorums};

use super::reply::{Refusal, bad_request};

/// Undoes percent-encoding; `+` is a space, as in Riak (its clients encode that way).
pub(crate) fn decode(text: &str) -> Result<Bytes, Refusal> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = (rest.next().and_then(hex), rest.next().and_then(hex));
                let (Some(high), Some(low)) = digits else {
                    return Err(bad_request(format!("bad percent-encoding in {text:?}\n")));
                };
                high << 4 | low
            }
            byte => byte,
        });
    }
    Ok(Bytes::from(out))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

/// The parameters of a request.
#[derive(Default, Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub fn of(uri: &hyper::Uri) -> Result<Params, Refusal> {
        let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((text(decode(name)?), text(decode(value)?)))
        };
        Ok(Params(pairs.map(pair).collect::<Result<_, Refusal>>()?))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The bytes of one, whatever they are.
    pub fn bytes(uri: &hyper::Uri, name: &str) -> Result<Option<Bytes>, Refusal> {
        let pairs = uri.query().unwrap_or_default().split('&');
        let mut values = pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        values.next().map(decode).transpose()
    }

    pub fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// All quorums.
    pub fn quorums(&self) -> Result<Quorums, Refusal> {
        Ok(Quorums {
            r: self.quorum("r")?,
            pr: self.quorum("pr")?,
            w: self.quorum("w")?,
            dw: self.quorum("dw")?,
            pw: self.quorum("pw")?,
            rw: self.quorum("rw")?,
            n_val: None,
            node_confirms: self.count("node_confirms")?,
        })
    }

    fn quorum(&self, name: &str) -> Result<Quorum, Refusal> {
        Ok(match self.get(name) {
            None | Some("default") => Quorum::Default,
            Some("one") => Quorum::One,
            Some("quorum") => Quorum::Quorum,
            Some("all") => Quorum::All,
            Some(_) => self.count(name)?.map_or(Quorum::Default, Quorum::Count),
        })
    }

    fn count(&self, name: &str) -> Result<Option<u32>, Refusal> {
        let count = self.get(name).map(str::parse).transpose();
        count.map_err(|_| {
            bad_request(format!(
                "{name} query parameter must be an integer or one of the following words: \
                 'one', 'quorum' or 'all'\n"
            ))
        })
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None | Some("default") => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(bad_request(format!("{name} query parameter must be true or false\n"))),
        }
    }

    pub fn timeout_ms(&self) -> Result<Option<u32>, Refusal> {
        let Some(text) = self.get("timeout") else { return Ok(None) };
        let parsed = text.parse().map(Some);
        parsed.map_err(|_| bad_request(format!("Bad timeout value {text:?}\n")))
    }
}
