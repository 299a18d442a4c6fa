//! How many tokens a call is thought to use, in and out, before it is sent: what it takes of a provider's rate limit
//! until its end says better. A call that no such limit concerns pays a comparison a seat.

use bytes::Bytes;
use fusebox_rules::tokens::Size;

use super::{length::beside, plan::Seat, way::Way};
use crate::chat::{length::Lengths, request::Request};

/// How large a prompt is.
#[derive(Debug)]
pub(super) struct Measured {
    /// Of what.
    body: Bytes,
    size: Size,
}

impl Way {
    /// Measures the prompt, if one of `order` limits tokens.
    pub(super) async fn measure_for_limits(&mut self, order: &[(usize, &Seat)]) {
        let counts = order.iter().any(|(_, seat)| seat.upstream.gate.counts_tokens());
        if counts && self.measured().is_none() {
            let request = &self.call.request;
            // What is of no known shape is as long as its document.
            let size = beside(request, Lengths::measure).await.map_or_else(|| by_length(request), |all| all.sum());
            self.measured = Some(Measured { body: request.body.clone(), size });
        }
    }

    /// The prompt's size, as well as it is known.
    pub(super) fn size(&self) -> Size {
        self.measured().unwrap_or_else(|| by_length(&self.call.request))
    }

    /// Tokens that the call is thought to use at `seat`.
    pub(super) fn tokens_at(&self, seat: &Seat) -> u64 {
        tokens(&self.call.request, self.size(), seat)
    }

    /// What was measured, if that was what is asked now.
    fn measured(&self) -> Option<Size> {
        let place = |body: &Bytes| (body.as_ptr(), body.len());
        let measured = self.measured.as_ref()?;
        (place(&measured.body) == place(&self.call.request.body)).then_some(measured.size)
    }
}

/// Tokens that `request`, whose prompt is of `size`, is thought to use at `seat`: by how its model counts, and by what the
/// answer may have, or, where nobody says, by what answers have had of late.
pub(super) fn tokens(request: &Request, size: Size, seat: &Seat) -> u64 {
    let prompt = seat.counting.ratio().estimate(size).likely;
    if !request.operation.has_tokens() {
        return prompt;
    }
    let each = request.max_tokens.unwrap_or_else(|| seat.upstream.gate.usual_answer());
    prompt.saturating_add(each.saturating_mul(u64::from(request.choices)))
}

fn by_length(request: &Request) -> Size {
    Size { ascii: request.body.len() as u64, ..Size::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        call::plan::Plan,
        chat::{parse::parse, request::Operation},
        config::Config,
        gate::Gate,
    };

    /// What `body` is thought to use at a provider that limits tokens.
    fn thought(operation: Operation, body: &Value) -> u64 {
        let config = Config::default();
        let budget = config.retry_budget.clone();
        let gate = |settings: &_| std::sync::Arc::new(Gate::new(settings, &budget, Box::new(|_| {}), None));
        let plan = Plan::try_new(config, 1, None, |settings| gate(settings)).unwrap();
        let request = parse(operation, Bytes::from(body.to_string())).unwrap();
        let size = Lengths::measure(&request).unwrap().sum();
        tokens(&request, size, &plan.route("").unwrap().seats[0])
    }

    fn chat(text: &str, more: &Value) -> Value {
        let mut body = json!({"messages": [{"role": "user", "content": text}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    #[test]
    fn a_chat_is_its_prompt_and_all_that_its_answers_may_have() {
        let long = "a".repeat(4_000);
        assert_eq!(thought(Operation::Chat, &chat(&long, &json!({"max_tokens": 50}))), 1_057);
        assert_eq!(thought(Operation::Chat, &chat(&long, &json!({"max_tokens": 50, "n": 3}))), 1_157);
        assert_eq!(thought(Operation::Chat, &chat(&long, &json!({}))), 1_007 + 256);
    }

    #[test]
    fn embeddings_are_all_their_inputs_and_no_answer() {
        let inputs = json!({"input": ["a".repeat(400), "a".repeat(4_000)]});
        assert!((1_100..=1_110).contains(&thought(Operation::Embed, &inputs)));
    }
}
