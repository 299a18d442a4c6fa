//! The inside's own documents: what is asked and what is answered.
//!
//! Both are held in the shape of OpenAI's JSON, as the bytes that came or will go, beside the few
//! facts that decisions need. So the commonest way, an OpenAI caller to an OpenAI-shaped provider,
//! parses little and copies nothing; every other wire format has one translation, to and from this.

mod amend;
pub mod answer;
pub mod aside;
pub mod batch;
pub mod bounds;
mod check;
mod clean;
pub mod continuation;
pub mod edit;
mod fewer;
mod fields;
pub mod fixed;
mod image;
pub mod inspect;
pub mod joined;
pub mod json;
pub mod length;
pub mod media;
pub mod parse;
mod prompt;
mod remark;
pub mod replay;
pub mod request;
mod shape;
mod simplify;
pub mod so_far;
pub mod sse;
mod tables;
pub mod tools;
mod truncate;
pub mod vocabulary;
mod walk;
