//! Tokens counted as a model counts them, where its vocabulary is public and carried here.
//!
//! A vocabulary takes some 45 MB of memory and a fifth of a second to load, once, when it is first needed; counting a
//! megabyte takes some 70 ms. So it belongs on a thread that may block.

use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

/// Bytes that are looked at together. The splitter that comes before the vocabulary fails on very long runs of one
/// kind, and takes more than its share of time; cutting a text costs a token a cut at most.
const MAX_PIECE: usize = 4096;
/// Bytes of one text that are counted; what a longer one has more is taken to be like them.
const MAX_COUNTED: usize = 4 << 20;

/// What a model knows of bytes that go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vocabulary {
    /// `o200k_base`: GPT-4o and what came after it.
    O200k,
    /// `cl100k_base`: GPT-4, GPT-3.5 and the embeddings of their time.
    Cl100k,
}

impl Vocabulary {
    /// How many there are.
    pub const COUNT: usize = 2;

    /// The vocabulary of the model that its provider calls `name`; `None`: not known here.
    #[must_use]
    pub fn of_model(name: &str) -> Option<Self> {
        // `openai/gpt-4o`, `ft:gpt-4o-mini:…`
        let name = name.rsplit('/').next().unwrap_or(name);
        let name = name.strip_prefix("ft:").unwrap_or(name).to_ascii_lowercase();
        let any = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if any(&["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-", "codex-mini"]) || is_reasoner(&name) {
            Some(Self::O200k)
        } else if any(&["gpt-4", "gpt-3.5-turbo", "gpt-35-turbo", "text-embedding-3-", "text-embedding-ada-002"]) {
            Some(Self::Cl100k)
        } else {
            None
        }
    }

    /// How many tokens `text` is. It blocks.
    #[must_use]
    pub fn count(self, text: &str) -> u64 {
        let bpe = self.bpe();
        let (counted, more) = text.split_at(text.floor_char_boundary(MAX_COUNTED));
        let mut rest = counted;
        let mut tokens = 0_u64;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(cut(rest));
            tokens += bpe.count_ordinary(piece) as u64;
            rest = behind;
        }
        tokens + tokens.saturating_mul(more.len() as u64) / (counted.len() as u64).max(1)
    }

    fn bpe(self) -> &'static CoreBPE {
        match self {
            Self::O200k => o200k_base_singleton(),
            Self::Cl100k => cl100k_base_singleton(),
        }
    }
}

/// `o1`, `o3-mini`, `o4-mini-2025-04-16`
fn is_reasoner(name: &str) -> bool {
    let digits = name.strip_prefix('o').map(|rest| rest.split('-').next().unwrap_or(rest));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Where the first piece of `text` ends: before a word, where there is one to be found.
fn cut(text: &str) -> usize {
    if text.len() <= MAX_PIECE {
        return text.len();
    }
    let end = text.floor_char_boundary(MAX_PIECE);
    let space = text.as_bytes()[MAX_PIECE / 2..end].iter().rposition(u8::is_ascii_whitespace);
    space.map_or(end, |at| at + MAX_PIECE / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_its_vocabulary() {
        use Vocabulary::{Cl100k, O200k};
        for (name, vocabulary) in [
            ("gpt-4o", Some(O200k)),
            ("gpt-4o-mini-2024-07-18", Some(O200k)),
            ("openai/gpt-4.1-nano", Some(O200k)),
            ("gpt-5", Some(O200k)),
            ("o1", Some(O200k)),
            ("o3-mini", Some(O200k)),
            ("o4-mini-2025-04-16", Some(O200k)),
            ("openai/gpt-oss-120b", Some(O200k)),
            ("ft:gpt-4o:acme::x", Some(O200k)),
            ("gpt-4", Some(Cl100k)),
            ("gpt-4-turbo", Some(Cl100k)),
            ("gpt-3.5-turbo-0125", Some(Cl100k)),
            ("text-embedding-3-large", Some(Cl100k)),
            ("meta-llama/Llama-3.1-8B-Instruct", None),
            ("olmo-2", None),
            ("o", None),
            ("", None),
        ] {
            assert_eq!(Vocabulary::of_model(name), vocabulary, "{name}");
        }
    }

    #[test]
    fn text_is_counted_as_the_models_count_it() {
        // From OpenAI's own examples of counting.
        for (text, cl100k, o200k) in [
            ("antidisestablishmentarianism", 6, 6),
            ("2 + 2 = 4", 7, 7),
            ("\u{304a}\u{8a95}\u{751f}\u{65e5}\u{304a}\u{3081}\u{3067}\u{3068}\u{3046}", 9, 8),
            ("", 0, 0),
        ] {
            assert_eq!((Vocabulary::Cl100k.count(text), Vocabulary::O200k.count(text)), (cl100k, o200k), "{text}");
        }
    }

    #[test]
    fn long_runs_are_counted_and_cost_at_most_a_token_a_cut() {
        for run in [" ", "a", "\n \t", "\u{e9} \u{3000}", "word "] {
            let piece = run.repeat(1000);
            let many = Vocabulary::O200k.count(&piece.repeat(300));
            let one = Vocabulary::O200k.count(&piece);
            assert!(many > 0 && many <= one * 300 + 300 + 1000, "{run:?}: {many}, {one} each");
        }
    }

    #[test]
    fn what_is_beyond_the_counted_is_taken_to_be_like_it() {
        let text = "one and the same ".repeat(MAX_COUNTED / 17 * 2);
        let half = Vocabulary::Cl100k.count(&text[..text.len() / 2]);
        assert!(Vocabulary::Cl100k.count(&text).abs_diff(2 * half) < half / 50);
    }
}
