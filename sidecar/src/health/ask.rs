//! The smallest question that a provider can be asked: one token, in answer to one word.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    call::{
        TraceContext, correlation,
        plan::{Plan, Upstream},
    },
    chat::{
        parse::parse,
        request::{Operation, Request},
    },
    error::{ErrorKind, Failure},
    provider::Ask,
};

/// What it is counted as where a provider limits tokens: one word, and one in answer, with what goes around them.
pub(super) const TOKENS: u64 = 16;

/// What `upstream` is asked: of the first model that it serves.
///
/// # Errors
/// None: the question is well-formed whatever the model is called.
pub(super) fn question(plan: &Plan, upstream: &Upstream) -> Result<Request, Failure> {
    let served = plan.config.models.iter().find_map(|model| {
        let served = model.providers.iter().find(|served| served.provider == upstream.index)?;
        Some(served.model.as_ref().unwrap_or(&model.name))
    });
    let mut body = json!({"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1});
    if let Some(model) = served {
        body["model"] = json!(**model);
    }
    parse(Operation::Chat, Bytes::from(body.to_string()))
}

/// Asks it as part of `trace`, and waits for an answer for so long.
///
/// # Errors
/// As an attempt's.
pub(super) async fn ask(
    upstream: &Upstream,
    question: &Request,
    limit: Duration,
    trace: &TraceContext,
) -> Result<(), Failure> {
    let ask = Ask {
        request: question,
        model: None,
        max_tokens: None,
        correlation_id: &correlation::made(),
        trace,
        timeout: limit,
        left: None,
    };
    match timeout(limit, upstream.client(usize::MAX).ask(ask)).await {
        Ok(result) => result.map(|_| ()),
        Err(_) => Err(Failure::new(ErrorKind::InferenceTimeout, "it gave no answer in time")),
    }
}
