//! Log lines: how they look, which are let through, and how both get to stderr without stopping a call.

pub(crate) mod filter;
mod writer;

use std::{io, time::Duration};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};
use writer::{OnLoss, Writer};

use crate::config::{LogFormat, Telemetry};

/// Logging cannot be set up, or changed, so.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is no filter.
    #[error("telemetry.log: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The writer's thread cannot be started.
    #[error("the log's writer cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// This process logs already.
    #[error("logging was set up before: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    /// What would be changed is gone.
    #[error("the filter cannot be changed: {0}")]
    Gone(#[from] reload::Error),
}

/// The process's log.
#[derive(Debug)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    writer: Writer,
}

impl Log {
    /// Sends this process's lines to stderr from now on.
    ///
    /// # Errors
    /// If the filter is wrong, or the process logs already.
    pub fn try_start(settings: &Telemetry) -> Result<Self, LogError> {
        let ansi = settings.log_format == LogFormat::Text && io::IsTerminal::is_terminal(&io::stderr());
        let (log, subscriber) = Self::try_new(settings, io::stderr(), ansi)?;
        subscriber.try_init()?;
        Ok(log)
    }

    /// Lets other lines through from now on. The format stays as it was at the start.
    ///
    /// # Errors
    /// If `filter` is none; the one before stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        Ok(self.filter.reload(filter::parse(filter)?)?)
    }

    /// Waits until the lines so far are written, at most `within`.
    pub fn flush(&self, within: Duration) {
        self.writer.flush(within);
    }

    fn try_new(
        settings: &Telemetry,
        out: impl io::Write + Send + 'static,
        ansi: bool,
    ) -> Result<(Self, impl tracing::Subscriber + Send + Sync), LogError> {
        let (filter, handle) = reload::Layer::new(filter::parse(&settings.log)?);
        let on_loss: OnLoss = match settings.log_format {
            LogFormat::Text => |lines| format!(" WARN fusebox::telemetry: log lines were lost lines={lines}\n"),
            LogFormat::Json => |lines| {
                format!(
                    "{{\"level\":\"WARN\",\"message\":\"log lines were lost\",\"lines\":{lines},\"target\":\"fusebox::telemetry\"}}\n"
                )
            },
        };
        let writer = Writer::try_new(out, on_loss)?;
        let lines = fmt::layer().with_writer(writer.clone()).with_ansi(ansi);
        let lines = match settings.log_format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        };
        Ok((Self { filter: handle, writer }, Registry::default().with(filter).with(lines)))
    }
}

#[cfg(test)]
mod tests;
