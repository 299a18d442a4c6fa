//! Pages of metrics as Prometheus reads them: the text, histograms, and what the kernel says of this process. What is
//! counted, each program says for itself.

mod exemplar;
mod format;
pub mod histogram;
pub mod process;
mod text;

pub use self::{
    exemplar::{Exemplars, Traced},
    format::Format,
    text::Text,
};
