//! Where answers go: to a terminal in colour and within its width, to a pipe as they are, or as JSON.

use std::io::{self, IsTerminal as _, Write as _};

use prost::{Message, Name};
use rustix::termios::tcgetwinsize;

use super::{
    args::{Color, Global},
    contexts::Variables,
    exit::{Exit, Failure},
    page::Line,
};
use crate::json;

/// What a terminal has that does not say.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    /// Answers are printed as JSON.
    pub(crate) json: bool,
    /// Whether it is a terminal.
    pub(crate) terminal: bool,
    colour: bool,
}

impl Out {
    /// As the arguments, the environment and what standard output is connected to have it.
    pub(crate) fn new(global: &Global, variables: Variables<'_>) -> Self {
        let terminal = io::stdout().is_terminal();
        let dumb = variables("TERM").is_some_and(|term| term == "dumb");
        let colour = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !dumb && variables("NO_COLOR").is_none(),
        };
        Self { json: global.json, terminal, colour }
    }

    /// Columns and lines of the terminal.
    pub(crate) fn size(self) -> (usize, usize) {
        let said = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        said.map_or(USUAL_SIZE, |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
    }

    /// The width within which tables are laid out: none but a terminal's. What reads a pipe wants it all.
    pub(crate) fn width(self) -> Option<usize> {
        self.terminal.then(|| self.size().0)
    }

    /// Prints lines.
    ///
    /// # Errors
    /// Whoever reads has had enough, or the disk is full.
    pub(crate) fn lines(self, lines: &[Line]) -> Result<(), Failure> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.show(self.colour));
            text.push('\n');
        }
        self.text(&text)
    }

    /// Prints a message as a document.
    ///
    /// # Errors
    /// As [`Self::lines`].
    pub(crate) fn message<M: Message + Name>(self, message: &M) -> Result<(), Failure> {
        self.text(&format!("{:#}\n", written(message)?))
    }

    /// Prints messages as one document, a list.
    ///
    /// # Errors
    /// As [`Self::lines`].
    pub(crate) fn messages<M: Message + Name>(self, messages: &[M]) -> Result<(), Failure> {
        let list = messages.iter().map(written).collect::<Result<Vec<_>, _>>()?;
        self.text(&format!("{:#}\n", serde_json::Value::from(list)))
    }

    /// Prints a message as a document in one line.
    ///
    /// # Errors
    /// As [`Self::lines`].
    pub(crate) fn message_line<M: Message + Name>(self, message: &M) -> Result<(), Failure> {
        self.text(&format!("{}\n", written(message)?))
    }

    /// Prints text as it is.
    ///
    /// # Errors
    /// As [`Self::lines`].
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
            // Whoever reads the first lines and closes the pipe has read enough.
            io::ErrorKind::BrokenPipe => Failure::new(Exit::Done, ""),
            _ => Failure::new(Exit::Failed, format!("standard output: {error}")),
        })
    }

    /// Lines as they are written, with colours if there are any.
    pub(crate) fn shown(self, line: &Line) -> String {
        line.show(self.colour)
    }
}

fn written<M: Message + Name>(message: &M) -> Result<serde_json::Value, Failure> {
    json::to_json(message).map_err(|fault| Failure::new(Exit::Failed, fault.to_string()))
}
