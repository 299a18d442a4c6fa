//! The inside's own documents: what is asked and what is answered.
//!
//! Both are held in the shape of OpenAI's JSON, as the bytes that came or will go, beside the few
//! facts that decisions need. So the commonest way, an OpenAI caller to an OpenAI-shaped provider,
//! parses little and copies nothing; every other wire format has one translation, to and from this.

pub mod answer;
pub mod bounds;
mod check;
mod clean;
mod fewer;
mod fields;
pub mod inspect;
pub mod media;
pub mod parse;
mod remark;
pub mod request;
mod shape;
pub mod sse;
mod tables;
pub mod tools;
mod walk;
