//! What the node measures, in three forms.

use std::sync::PoisonError;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderMap;
use ombak_node::{Reply, Request, ShardStatus};
use ombak_runtime::Counters;
use serde_json::Value;

use super::Site;
use super::accept::quality;
use super::reply::{Outcome, html_error, json, reply, text, vary};
use crate::metrics::numbers::Numbers;
use crate::metrics::process::Process;
use crate::metrics::riak::Stats;
use crate::metrics::{Minute, Reading, prometheus};

/// Shards that do not answer within this are done without: whoever watches wants to see the rest all the more.
const STATUS_WITHIN: Duration = Duration::from_secs(1);

impl Site {
    /// Numbers for monitoring, by Riak's names.
    pub async fn stats(&self, headers: &HeaderMap) -> Outcome {
        let (json, plain) = (quality(headers, "application/json"), quality(headers, "text/plain"));
        if json == 0 && plain == 0 {
            return Ok(html_error(StatusCode::NOT_ACCEPTABLE));
        }
        let stats = Value::Object(Stats::of(&self.reading().await));
        let mut response = if json >= plain {
            reply(StatusCode::OK, "application/json", stats.to_string())
        } else {
            let text = serde_json::to_string_pretty(&stats).unwrap_or_default();
            reply(StatusCode::OK, "text/plain", text)
        };
        vary(&mut response, "Accept, Accept-Encoding");
        Ok(response)
    }

    /// The same and more for Prometheus.
    pub async fn metrics(&self) -> Outcome {
        Ok(match prometheus::text(self.reading().await) {
            Ok(page) => reply(StatusCode::OK, prometheus::CONTENT_TYPE, page),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        })
    }

    /// For `ombak top`.
    pub async fn numbers(&self) -> Outcome {
        Ok(json(StatusCode::OK, &Numbers::of(&self.reading().await)))
    }

    /// Once a second, so that there is a last minute.
    pub fn note(&self) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.note(self.up_ms(), self.gauges.read());
    }

    async fn reading(&self) -> Reading {
        // First: an operation is counted right after its answer is given, and a shard that has answered this question has
        // counted all that it answered before.
        let shards = self.shard_status().await;
        let (total, up_ms) = (self.gauges.read(), self.up_ms());
        let minute = self.minute(up_ms, &total);
        Reading { node: self.facts.clone(), total, minute, shards, process: Process::read(), up_ms }
    }

    fn minute(&self, up_ms: u64, total: &Counters) -> Minute {
        let window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.minute(up_ms, total)
    }

    fn up_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn shard_status(&self) -> Option<Vec<ShardStatus>> {
        let asked = self.ask_all(&Request::Status);
        let answers = tokio::time::timeout(STATUS_WITHIN, asked).await.ok()?.ok()?;
        let status = |answer| match answer {
            Reply::Status(status) => Some(*status),
            _ => None,
        };
        answers.into_iter().map(status).collect()
    }
}
