//! The alternate screen of a terminal, which is left again whatever happens.

use std::io::{self, Write as _};

use super::{
    exit::{Exit, Failure},
    out::Out,
    page::{Line, Tone},
};

/// The alternate screen, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// A frame is shown as a whole, by terminals that know how.
const BEGIN_FRAME: &str = "\x1b[?2026h\x1b[H";
const END_FRAME: &str = "\x1b[J\x1b[?2026l";

/// The alternate screen. Dropped, what stood there before is shown again.
#[derive(Debug)]
pub(crate) struct Screen {
    out: Out,
}

impl Screen {
    /// Enters it.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(crate) fn enter(out: Out) -> Result<Self, Failure> {
        let screen = Self { out };
        screen.write(ENTER)?;
        Ok(screen)
    }

    /// Shows as many of `lines` as there is room for, and `foot` in the last line.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(crate) fn draw(&self, lines: &[Line], foot: &Line) -> Result<(), Failure> {
        let (width, height) = self.out.size();
        let mut frame = String::from(BEGIN_FRAME);
        for line in fit(lines, width, height.saturating_sub(1)) {
            frame.push_str(&self.out.shown(&line));
            // What stood there before is cleared as far as the line did not cover it.
            frame.push_str("\x1b[K\r\n");
        }
        frame.push_str(&self.out.shown(&foot.clone().cut(width)));
        frame.push_str(END_FRAME);
        self.write(&frame)
    }

    #[allow(clippy::unused_self, reason = "only who has entered it writes there")]
    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Failure::new(Exit::Failed, format!("the terminal: {error}")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where the terminal is gone, there is nothing to restore.
        let _ = self.write(LEAVE);
    }
}

/// What fits of `lines`; the last one says how many more there are.
fn fit(lines: &[Line], width: usize, height: usize) -> Vec<Line> {
    let whole = if lines.len() <= height { lines.len() } else { height.saturating_sub(1) };
    let mut shown: Vec<Line> = lines[..whole].iter().map(|line| line.clone().cut(width)).collect();
    if whole < lines.len() && height > 0 {
        let more = format!("… {} more lines: make the window taller", lines.len() - whole);
        shown.push(Line::toned(more, Tone::Dim).cut(width));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let lines: Vec<Line> = (0..10).map(|at| format!("line {at}").into()).collect();
        let shown = |width, height| fit(&lines, width, height).iter().map(|line| line.show(false)).collect::<Vec<_>>();
        assert_eq!(shown(80, 10).len(), 10);
        assert_eq!(shown(80, 3), ["line 0", "line 1", "… 8 more lines: make the window taller"]);
        assert_eq!(shown(4, 2), ["lin…", "… 9…"]);
        assert_eq!(shown(80, 0), Vec::<String>::new());
    }
}
