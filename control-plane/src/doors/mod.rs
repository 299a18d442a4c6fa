//! Ways to ask the control plane: gRPC, REST, the dashboard, and what watches it. They translate, and decide nothing.

pub mod admission;
pub mod grpc;
pub mod guard;
pub mod metrics;
pub mod page;
pub mod rest;
pub mod watch;
