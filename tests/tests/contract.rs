//! The contract's table of errors, written down a second time: the tests hold the sidecar to this one.

/// What a caller is told of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) http: u16,
    pub(crate) grpc: i32,
    /// Whether another provider is asked.
    pub(crate) fails_over: bool,
    /// Whether the same call may do better later.
    pub(crate) retryable: bool,
}

/// The row of `kind`.
#[rustfmt::skip]
pub(crate) fn row(kind: &str) -> Row {
    const fn row(http: u16, grpc: i32, fails_over: bool, retryable: bool) -> Row {
        Row { http, grpc, fails_over, retryable }
    }
    match kind {
        "rate_limited"            => row(429, 8,  true,  true),
        "inference_timeout"       => row(504, 4,  true,  true),
        "network_error"           => row(503, 14, true,  true),
        "provider_error"          => row(503, 14, true,  true),
        "model_overloaded"        => row(503, 14, true,  true),
        "model_loading_failed"    => row(503, 14, true,  true),
        "out_of_memory"           => row(507, 8,  true,  true),
        "generation_failed"       => row(500, 13, true,  true),
        "stream_broken"           => row(502, 14, true,  true),
        "invalid_response"        => row(502, 14, true,  true),
        "content_filtered"        => row(422, 9,  false, false),
        "context_length_exceeded" => row(413, 11, false, false),
        "authentication"          => row(401, 16, true,  false),
        "permission_denied"       => row(403, 7,  true,  false),
        "model_not_found"         => row(404, 5,  true,  false),
        "invalid_input"           => row(400, 3,  false, false),
        "circuit_open"            => row(503, 14, true,  true),
        "shed"                    => row(503, 8,  false, true),
        "cancelled"               => row(499, 1,  false, false),
        "internal_error"          => row(500, 13, false, false),
        other => panic!("{other} is no kind of the contract's"),
    }
}
