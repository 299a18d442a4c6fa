//! Asking Anthropic: the translated question over HTTP, its answer translated back.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Uri};

use super::{PATH, Progress, add_headers, answer, request};
use crate::{
    clock, config,
    error::Failure,
    provider::{
        Answer, Ask, Reply, fault,
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
        // Its own SDKs take the address without the version, OpenAI's with it: both are understood.
        let base = settings.base_url.strip_suffix("/v1").unwrap_or(&settings.base_url);
        let messages = format!("{base}/v1{PATH}").parse().map_err(|error| format!("base_url is not a URL: {error}"))?;
        Ok(Self { client: Client::try_new(settings, headers, max_answer)?, messages })
    }

    /// Asks once.
    ///
    /// # Errors
    /// Whatever went wrong, classified; or, unasked, what this API cannot serve.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Reply, Failure> {
        let model = ask.model.unwrap_or(&ask.request.model);
        let translated = request::translate(ask.request, model, ask.max_tokens).map_err(|cannot| cannot.failure())?;
        let answer = self.post(&ask, translated.body, translated.include_usage).await?;
        Ok(Reply { answer, warnings: translated.warnings })
    }

    async fn post(&self, ask: &Ask<'_>, body: Bytes, include_usage: bool) -> Result<Answer, Failure> {
        let response = self.client.post(self.messages.clone(), body, ask).await?;
        let (head, body) = response.into_parts();
        let created = clock::unix_now().as_secs();
        if ask.request.stream && announces(&head.headers, "text/event-stream") {
            let dialect =
                Dialect::Anthropic(Progress::new(created, include_usage).or_nothing(ask.request.may_be_empty));
            return Ok(Answer::Stream(Chunks::from_http(body, dialect, self.client.max_answer())));
        }
        if ask.request.stream || !announces(&head.headers, "application/json") {
            return Err(fault::from_success(&self.client.read_whole(body).await?));
        }
        let body = self.client.read_whole(body).await?;
        answer::translate(&body, created).map(Answer::Whole)
    }
}

#[cfg(test)]
mod tests;
