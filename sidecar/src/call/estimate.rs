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
