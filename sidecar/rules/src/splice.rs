//! Joining an answer to one that broke off: what of the new one the caller has already been told.
//!
//! Texts only. Where they come from, and what follows when they differ, is decided elsewhere.

/// Holds a new answer against what was sent of the old one, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    sent: String,
    /// Bytes of `sent` that the new answer has said too.
    matched: usize,
}

/// What the next piece of the new answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Nothing but what was sent.
    Same,
    /// It goes past the end of what was sent by this much, which may be nothing; from here on everything does.
    Rest(&'a str),
    /// The two answers differ, for the first time at this byte, where a character of what was sent begins.
    Diverged {
        /// Bytes of what was sent that the two share.
        at: usize,
    },
}

impl Matching {
    /// Nothing of the new answer is known yet.
    #[must_use]
    pub const fn new(sent: String) -> Self {
        Self { sent, matched: 0 }
    }

    /// Takes the next piece. After [`Verdict::Diverged`] no further piece means anything.
    pub fn take<'a>(&mut self, piece: &'a str) -> Verdict<'a> {
        let awaited = &self.sent[self.matched..];
        if let Some(rest) = piece.strip_prefix(awaited) {
            self.matched = self.sent.len();
            return Verdict::Rest(rest);
        }
        if awaited.starts_with(piece) {
            self.matched += piece.len();
            return Verdict::Same;
        }
        let shared: usize =
            awaited.chars().zip(piece.chars()).take_while(|(old, new)| old == new).map(|(old, _)| old.len_utf8()).sum();
        Verdict::Diverged { at: self.matched + shared }
    }

    /// Whether all that was sent has been said again.
    #[must_use]
    pub const fn is_past(&self) -> bool {
        self.matched == self.sent.len()
    }
}

/// White space at the joint: a text to be continued may have to lose what it ends in, which the model may then say
/// again, or in part, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    /// What the model may still say again.
    tail: String,
}

impl Joint {
    /// For an answer that continues `sent`.
    #[must_use]
    pub fn after(sent: &str) -> Self {
        Self { tail: sent[sent.trim_end().len()..].to_owned() }
    }

    /// The part of the next piece that is new.
    pub fn take<'a>(&mut self, piece: &'a str) -> &'a str {
        let again = self.tail.chars().zip(piece.chars()).take_while(|(old, new)| old == new);
        let again: usize = again.map(|(old, _)| old.len_utf8()).sum();
        if again == piece.len() {
            self.tail.drain(..again);
        } else {
            self.tail.clear();
        }
        &piece[again..]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `text` in pieces of so many characters each.
    fn pieces(text: &str, lengths: &[usize]) -> Vec<String> {
        let mut letters = text.chars().peekable();
        let mut lengths = lengths.iter().copied().chain(std::iter::repeat(1));
        let mut pieces = Vec::new();
        while letters.peek().is_some() {
            let length = lengths.next().unwrap_or(1);
            pieces.push(letters.by_ref().take(length).collect());
        }
        pieces
    }

    /// What of `pieces` is new after `sent`, or where they differ.
    fn new_of(sent: &str, pieces: &[String]) -> Result<String, usize> {
        let (mut matching, mut new) = (Matching::new(sent.to_owned()), String::new());
        for piece in pieces {
            match matching.take(piece) {
                Verdict::Same => assert!(new.is_empty()),
                Verdict::Rest(rest) => new.push_str(rest),
                Verdict::Diverged { at } => return Err(at),
            }
        }
        assert!(matching.is_past() || new.is_empty());
        Ok(new)
    }

    #[test]
    fn a_piece_across_the_end_of_what_was_sent_is_cut_there() {
        let mut matching = Matching::new("größ".into());
        assert_eq!(matching.take("gr"), Verdict::Same);
        assert!(!matching.is_past());
        assert_eq!(matching.take("ößer"), Verdict::Rest("er"));
        assert!(matching.is_past());
        assert_eq!(matching.take(""), Verdict::Rest(""));
    }

    #[test]
    fn letters_that_share_their_first_byte_are_told_apart() {
        assert_eq!(Matching::new("aé".into()).take("aèb"), Verdict::Diverged { at: 1 });
    }

    #[test]
    fn white_space_is_said_once_however_the_model_goes_on() {
        for (sent, new, expected) in [
            ("Hello ", "world", "world"),
            ("Hello ", " world", "world"),
            ("Hello\n\n", "\nworld", "world"),
            ("Hello ", "\nworld", "\nworld"),
            ("Hello", " world", " world"),
            ("Hello \n", " \n world", " world"),
        ] {
            let mut joint = Joint::after(sent);
            let said: String = new.chars().map(|letter| joint.take(&letter.to_string()).to_owned()).collect();
            assert_eq!(said, expected, "{sent:?} + {new:?}");
            assert_eq!(Joint::after(sent).take(new), expected, "{sent:?} + {new:?}, at once");
        }
    }

    proptest! {
        #[test]
        fn however_the_same_answer_is_cut_its_rest_is_new_and_nothing_else(
            sent in "\\PC{0,40}", rest in "\\PC{0,40}", lengths in prop::collection::vec(0_usize..9, 0..40),
        ) {
            let whole = format!("{sent}{rest}");
            prop_assert_eq!(new_of(&sent, &pieces(&whole, &lengths)), Ok(rest));
        }

        #[test]
        fn a_difference_is_found_at_its_place_and_nothing_is_passed_on_before_it(
            sent in "[ab]{1,40}", other in "[ab]{1,40}", lengths in prop::collection::vec(0_usize..9, 0..40),
        ) {
            let shared = sent.bytes().zip(other.bytes()).take_while(|(one, two)| one == two).count();
            let found = new_of(&sent, &pieces(&other, &lengths));
            if shared == sent.len() || shared == other.len() {
                prop_assert_eq!(found, Ok(other.get(sent.len()..).unwrap_or_default().to_owned()));
            } else {
                prop_assert_eq!(found, Err(shared));
            }
        }

        #[test]
        fn a_joint_drops_no_more_than_was_cut(sent in "[a ]{0,9}", new in "[a ]{0,9}") {
            let kept = Joint::after(&sent).take(&new).to_owned();
            prop_assert!(new.ends_with(&kept) && new.len() - kept.len() <= sent.len() - sent.trim_end().len());
            prop_assert_eq!(kept.trim_start(), new.trim_start());
        }
    }
}
