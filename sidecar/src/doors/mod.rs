//! The ways in: each translates to a call and back, and does nothing else.

pub mod admin;
pub mod grpc;
pub mod openai;
