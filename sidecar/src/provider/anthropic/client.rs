//! One question to a provider that speaks the Messages API, and its answer.

use std::sync::Arc;

use http::{HeaderMap, Uri};

use super::{PATH, Progress, add_headers, answer, request};
use crate::{
    clock, config,
    error::Failure,
    provider::{
        Ask, Reply, fault,
        http::{Client, announces},
        stream::{Chunks, Dialect},
    },
};

/// A provider that speaks the Messages API.
#[derive(Debug)]
pub struct Anthropic {
    client: Client,
    messages: Uri,
}

impl Anthropic {
    /// The provider that `settings` describe.
    ///
    /// # Errors
    /// Its address or key cannot be used.
    pub fn try_new(settings: &Arc<config::Provider>, max_answer: usize) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        add_headers(&mut headers, settings.api_key.as_ref())
            .map_err(|_| "the key holds characters that no header may hold".to_owned())?;
        let messages = format!("{}{PATH}", settings.base_url);
        let messages = messages.parse().map_err(|error| format!("base_url is not a URL: {error}"))?;
        Ok(Self { client: Client::try_new(settings, headers, max_answer)?, messages })
    }

    /// Asks once.
    ///
    /// # Errors
    /// Whatever went wrong, classified; one with `unasked` set if the request cannot be served here.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Reply, Failure> {
        let model = ask.model.unwrap_or(&ask.request.model);
        let asked = request::translate(ask.request, model, ask.max_tokens).map_err(|lack| lack.failure())?;
        let response = self.client.post(self.messages.clone(), asked.body, &ask).await?;
        let (head, body) = response.into_parts();
        let created = clock::unix_now().as_secs();
        if ask.request.stream && announces(&head.headers, "text/event-stream") {
            let dialect = Dialect::Anthropic(Progress::new(created, asked.include_usage));
            return Ok(Reply::Stream(Chunks::from_http(body, dialect, self.client.max_answer())));
        }
        let is_whole = !ask.request.stream && announces(&head.headers, "application/json");
        let body = self.client.read_whole(body).await?;
        if is_whole { answer::translate(&body, created).map(Reply::Whole) } else { Err(fault::from_success(&body)) }
    }
}

#[cfg(test)]
mod tests;
