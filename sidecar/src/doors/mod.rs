//! The doors: each translates what a caller sends to one `Call` and the answer back, and does nothing else.

pub mod grpc;
