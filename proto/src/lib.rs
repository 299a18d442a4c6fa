//! What Fusebox's processes must agree on: the messages and services of `fusebox.v1`, and what they keep in their store.
//!
//! Generated from the .proto files beside this crate; it knows none of the programs that use it.

pub mod keys;
pub mod scripts;

/// What processes keep for each other in the store: the messages of package `fusebox.store.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "generated: the .proto file holds the documentation"
)]
pub mod store {
    tonic::include_proto!("fusebox.store.v1");
}

/// The messages, clients and servers of package `fusebox.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "generated: the .proto files hold the documentation"
)]
pub mod v1 {
    tonic::include_proto!("fusebox.v1");
}

/// The encoded `FileDescriptorSet`, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
