//! The commands that serve nothing: check a configuration, make one call, show a running sidecar.

mod call;
mod check;
mod http;
mod status;

pub use call::call;
pub use check::check;
pub use status::status;
