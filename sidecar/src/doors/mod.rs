//! Where calls and questions come in: each door translates, and decides nothing.

pub mod admin;
