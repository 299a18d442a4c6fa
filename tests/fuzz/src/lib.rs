//! What several targets share.

use std::ops::Range;

/// A text and the frames in which it comes, which cover it: the input's last byte says how many bytes before it are
/// lengths of frames; one more frame takes the rest.
#[must_use]
pub fn cut(input: &[u8]) -> (&[u8], Vec<Range<usize>>) {
    let Some((count, rest)) = input.split_last() else { return (input, Vec::new()) };
    let (text, lengths) = rest.split_at(rest.len() - usize::from(*count).min(rest.len()));
    let mut frames = Vec::new();
    let mut from = 0;
    for length in lengths {
        let to = text.len().min(from + usize::from(*length));
        frames.push(from..to);
        from = to;
    }
    frames.push(from..text.len());
    (text, frames)
}
