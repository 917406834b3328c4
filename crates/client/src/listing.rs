//! Answers that come in parts.

use bytes::Bytes;
use ombak_wire::Response;

use crate::calls::{Answer, Ask, Core, unexpected};
use crate::error::{Failure, refused};
use crate::host::Lease;
use crate::net::{Net, TokioNet, within};
use crate::{Error, Key};

/// Names that a node lists, as they come. Dropped before the end, it closes its connection, which tells the node to stop.
///
/// A listing reads all keys of the cluster. It is no picture of one moment.
pub struct Listing {
    parts: Parts<TokioNet>,
}

impl Listing {
    pub(crate) fn new(parts: Parts<TokioNet>) -> Listing {
        Listing { parts }
    }

    /// The next names, in no order; `None` at the end. If it fails, what came so far is not all there is.
    pub async fn next(&mut self) -> Option<Result<Vec<Key>, Error>> {
        let part = self.parts.next().await?;
        Some(part.map(|names| names.into_iter().map(Key).collect()))
    }

    /// All names. They are held in memory.
    pub async fn collect(mut self) -> Result<Vec<Key>, Error> {
        let mut all = Vec::new();
        while let Some(part) = self.next().await {
            all.extend(part?);
        }
        Ok(all)
    }
}

/// The same on any net.
pub(crate) struct Parts<N: Net> {
    net: N,
    /// The part that came when the request was made.
    first: Option<Response>,
    /// `None` after the last part.
    lease: Option<Lease<N>>,
    /// How long each part is waited for.
    part_ms: u64,
}

impl<N: Net> Parts<N> {
    pub fn new(core: &Core<N>, answer: Answer<N>, part_ms: u64) -> Parts<N> {
        let (first, lease) = answer;
        Parts { net: core.net.clone(), first: Some(first), lease: Some(lease), part_ms }
    }

    async fn next(&mut self) -> Option<Result<Vec<Bytes>, Error>> {
        let lease = self.lease.as_mut()?;
        let response = match self.first.take() {
            Some(first) => first,
            None => {
                let until = self.net.now().plus_ms(self.part_ms);
                match within(&self.net, until, lease.connection().next()).await {
                    Some(Ok(response)) => response,
                    Some(Err(_)) | None => return self.fail(Error::Timeout),
                }
            }
        };
        match response {
            Response::ListKeys(part) => self.part(part.keys, part.done),
            Response::ListBuckets(part) => self.part(part.buckets, part.done),
            Response::Error(error) => {
                let text = String::from_utf8_lossy(&error.errmsg.unwrap_or_default()).into_owned();
                self.close();
                Some(Err(match refused(text, false) {
                    Failure::Answered(error) => error,
                    Failure::NotBegun(text) => Error::Unavailable(text),
                    other => Error::Protocol(format!("{other:?}")),
                }))
            }
            other => self.fail(unexpected(&other)),
        }
    }

    fn part(&mut self, names: Vec<Bytes>, done: Option<bool>) -> Option<Result<Vec<Bytes>, Error>> {
        if done == Some(true) {
            self.close();
        }
        Some(Ok(names))
    }

    fn fail(&mut self, error: Error) -> Option<Result<Vec<Bytes>, Error>> {
        self.lease.take().into_iter().for_each(Lease::broken);
        Some(Err(error))
    }

    /// The answer is complete.
    fn close(&mut self) {
        if let Some(mut lease) = self.lease.take() {
            lease.connection().close_exchange();
        }
    }
}

/// Opens one.
pub(crate) async fn open<N: Net>(
    core: &std::sync::Arc<Core<N>>,
    ask: Ask,
    part_ms: u64,
) -> Result<Parts<N>, Error> {
    let answer = core.open(&ask).await?;
    Ok(Parts::new(core, answer, part_ms))
}
