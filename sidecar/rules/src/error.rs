//! Every way in which a call can fail, and the one table that says what each means.
//!
//! The table is the contract's. Whoever needs to know what a kind does asks it; nobody matches on
//! status codes. A new kind does not compile until each column has been decided for it.

use std::fmt;

/// A way for a call, or one attempt of it, to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ErrorKind {
    /// The provider asked for fewer calls.
    RateLimited,
    /// No first token, or no answer, in time.
    InferenceTimeout,
    /// The provider could not be reached, or the connection broke before an answer.
    NetworkError,
    /// The provider failed in a way of its own (5xx).
    ProviderError,
    /// The provider has more work than it can take.
    ModelOverloaded,
    /// The model is not loaded, or could not be.
    ModelLoadingFailed,
    /// The provider ran out of memory on this call.
    OutOfMemory,
    /// The model began and failed.
    GenerationFailed,
    /// A stream was cut, stalled, or ended without saying why it finished.
    StreamBroken,
    /// An answer came and is no good: empty, malformed, or not what was asked for.
    InvalidResponse,
    /// The provider refused the content.
    ContentFiltered,
    /// The prompt does not fit the model's window.
    ContextLengthExceeded,
    /// The provider refused the key, or the sidecar the caller's token.
    Authentication,
    /// The key may not do this.
    PermissionDenied,
    /// No such model.
    ModelNotFound,
    /// The request is wrong in itself.
    InvalidInput,
    /// No provider's breaker would let the call through.
    CircuitOpen,
    /// The agent run's budget is spent.
    BudgetExceeded,
    /// Refused to protect the calls already in flight.
    Shed,
    /// The sidecar is shutting down and its grace is over.
    ShuttingDown,
    /// The caller hung up.
    Cancelled,
    /// A fault of Fusebox's own.
    InternalError,
}

/// When the provider that failed may be asked again in the same call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryHere {
    /// Never.
    No,
    /// After the wait that the provider named, else after backoff.
    AfterWait,
    /// After backoff.
    AfterBackoff,
    /// At once the first time, after backoff from then on.
    AtOnceThenBackoff,
    /// Only while no other provider can take the call, and then with a longer timeout.
    IfAlone,
    /// Once, asking for half the tokens.
    OnceWithHalf,
    /// At once, telling the model what was wrong.
    SayingWhatWasWrong,
    /// Once, under another instruction, if the configuration has one.
    OnceRewritten,
}

/// When another provider is asked instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOver {
    /// Never: another provider would say the same.
    No,
    /// Once this provider's retries are spent.
    Yes,
    /// Before this provider is tried again.
    First,
    /// Only to a provider with a larger window.
    ToLargerWindow,
    /// Only if the configuration asks for it.
    IfConfigured,
}

/// What a provider's failure of this kind says about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Nothing.
    None,
    /// It is failing: counts against its breaker.
    Breaker,
    /// It is to be left alone for a while.
    CoolDown,
    /// Its key is bad: unhealthy until the key changes.
    Key,
}

/// The canonical gRPC status codes that the table uses, by their numbers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum GrpcCode {
    /// CANCELLED
    Cancelled = 1,
    /// INVALID_ARGUMENT
    InvalidArgument = 3,
    /// DEADLINE_EXCEEDED
    DeadlineExceeded = 4,
    /// NOT_FOUND
    NotFound = 5,
    /// PERMISSION_DENIED
    PermissionDenied = 7,
    /// RESOURCE_EXHAUSTED
    ResourceExhausted = 8,
    /// FAILED_PRECONDITION
    FailedPrecondition = 9,
    /// OUT_OF_RANGE
    OutOfRange = 11,
    /// INTERNAL
    Internal = 13,
    /// UNAVAILABLE
    Unavailable = 14,
    /// UNAUTHENTICATED
    Unauthenticated = 16,
}

impl GrpcCode {
    /// Its name as gRPC writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The kind's name on every wire, in lower snake case.
    pub name: &'static str,
    /// The HTTP status. An `InvalidInput` that names fields is 422 instead.
    pub http: u16,
    /// The gRPC status.
    pub grpc: GrpcCode,
    /// When the same provider may be asked again.
    pub retry: RetryHere,
    /// When another one is.
    pub fail_over: FailOver,
    /// What it says of the provider.
    pub blame: Blame,
    /// Whether the caller may send the same call again later and hope.
    pub retryable: bool,
}

impl ErrorKind {
    /// Every kind, in the contract's order.
    pub const ALL: [Self; 22] = [
        Self::RateLimited,
        Self::InferenceTimeout,
        Self::NetworkError,
        Self::ProviderError,
        Self::ModelOverloaded,
        Self::ModelLoadingFailed,
        Self::OutOfMemory,
        Self::GenerationFailed,
        Self::StreamBroken,
        Self::InvalidResponse,
        Self::ContentFiltered,
        Self::ContextLengthExceeded,
        Self::Authentication,
        Self::PermissionDenied,
        Self::ModelNotFound,
        Self::InvalidInput,
        Self::CircuitOpen,
        Self::BudgetExceeded,
        Self::Shed,
        Self::ShuttingDown,
        Self::Cancelled,
        Self::InternalError,
    ];

    /// The table: all that a kind means, in one place.
    #[must_use]
    #[rustfmt::skip]
    pub const fn row(self) -> Row {
        use {Blame as B, FailOver as F, GrpcCode as G, RetryHere as R};
        const fn row(name: &'static str, http: u16, grpc: GrpcCode, retry: RetryHere, fail_over: FailOver, blame: Blame, retryable: bool) -> Row {
            Row { name, http, grpc, retry, fail_over, blame, retryable }
        }
        match self {
            Self::RateLimited           => row("rate_limited",            429, G::ResourceExhausted,  R::AfterWait,          F::Yes,            B::CoolDown, true),
            Self::InferenceTimeout      => row("inference_timeout",       504, G::DeadlineExceeded,   R::IfAlone,            F::First,          B::Breaker,  true),
            Self::NetworkError          => row("network_error",           503, G::Unavailable,        R::AfterBackoff,       F::Yes,            B::Breaker,  true),
            Self::ProviderError         => row("provider_error",          503, G::Unavailable,        R::AtOnceThenBackoff,  F::Yes,            B::Breaker,  true),
            Self::ModelOverloaded       => row("model_overloaded",        503, G::Unavailable,        R::AfterBackoff,       F::Yes,            B::Breaker,  true),
            Self::ModelLoadingFailed    => row("model_loading_failed",    503, G::Unavailable,        R::No,                 F::Yes,            B::Breaker,  true),
            Self::OutOfMemory           => row("out_of_memory",           507, G::ResourceExhausted,  R::OnceWithHalf,       F::Yes,            B::Breaker,  true),
            Self::GenerationFailed      => row("generation_failed",       500, G::Internal,           R::AtOnceThenBackoff,  F::Yes,            B::Breaker,  true),
            Self::StreamBroken          => row("stream_broken",           502, G::Unavailable,        R::AtOnceThenBackoff,  F::Yes,            B::Breaker,  true),
            Self::InvalidResponse       => row("invalid_response",        502, G::Unavailable,        R::SayingWhatWasWrong, F::Yes,            B::None,     true),
            Self::ContentFiltered       => row("content_filtered",        422, G::FailedPrecondition, R::OnceRewritten,      F::IfConfigured,   B::None,     false),
            Self::ContextLengthExceeded => row("context_length_exceeded", 413, G::OutOfRange,         R::No,                 F::ToLargerWindow, B::None,     false),
            Self::Authentication        => row("authentication",          401, G::Unauthenticated,    R::No,                 F::Yes,            B::Key,      false),
            Self::PermissionDenied      => row("permission_denied",       403, G::PermissionDenied,   R::No,                 F::Yes,            B::None,     false),
            Self::ModelNotFound         => row("model_not_found",         404, G::NotFound,           R::No,                 F::Yes,            B::None,     false),
            Self::InvalidInput          => row("invalid_input",           400, G::InvalidArgument,    R::No,                 F::No,             B::None,     false),
            Self::CircuitOpen           => row("circuit_open",            503, G::Unavailable,        R::No,                 F::Yes,            B::None,     true),
            Self::BudgetExceeded        => row("budget_exceeded",         429, G::ResourceExhausted,  R::No,                 F::No,             B::None,     false),
            Self::Shed                  => row("shed",                    503, G::ResourceExhausted,  R::No,                 F::No,             B::None,     true),
            Self::ShuttingDown          => row("shutting_down",           503, G::Unavailable,        R::No,                 F::No,             B::None,     true),
            Self::Cancelled             => row("cancelled",               499, G::Cancelled,          R::No,                 F::No,             B::None,     false),
            Self::InternalError         => row("internal_error",          500, G::Internal,           R::No,                 F::No,             B::None,     false),
        }
    }

    /// The kind's name on every wire, in lower snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_listed_once_under_a_name_of_its_own() {
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind} is out of order");
            assert_eq!(ErrorKind::ALL.iter().filter(|other| other.name() == kind.name()).count(), 1);
        }
    }

    #[test]
    fn what_is_never_tried_elsewhere_is_never_tried_again_here_either() {
        for kind in ErrorKind::ALL {
            let row = kind.row();
            if row.fail_over == FailOver::No {
                assert_eq!(row.retry, RetryHere::No, "{kind}");
            }
        }
    }
}
