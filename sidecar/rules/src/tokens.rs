//! How many tokens a text of so many bytes is likely to be, and whether that fits a window.
//!
//! A ratio that starts from what is usual and follows what a provider reports. Counting with a model's own
//! vocabulary is not done here.

#[cfg(test)]
mod tests;

/// Bytes of ASCII in one token of ordinary prose; of code and JSON there are fewer.
const ASCII_BYTES_PER_TOKEN: u64 = 4;
/// Bytes of other scripts in one token, in UTF-8.
const OTHER_BYTES_PER_TOKEN: u64 = 2;
/// The least bytes a token has in anything but rare scripts: what a document's length alone is divided by.
pub const FEWEST_BYTES_PER_TOKEN: u64 = 2;

/// What each report adds to what is known; the rest is what was known before.
const WEIGHT_OF_ONE: f64 = 0.125;
/// A report further off than this, either way, is of something else than the text: images, a cached prefix.
const BELIEVABLE: std::ops::RangeInclusive<f64> = 0.2..=5.0;
/// Reports before the spread is trusted.
const MIN_REPORTS: u32 = 4;
/// The least spread, once learnt: texts of one kind differ by as much.
const MIN_SPREAD: f64 = 0.05;
/// The most spread.
const MAX_SPREAD: f64 = 0.4;
/// The spread before anything is learnt: from prose in few tokens to JSON in many.
const UNLEARNT_SPREAD: f64 = 0.3;

/// A text's size, or part of a prompt's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Bytes of ASCII.
    pub ascii: u64,
    /// Bytes of everything else, in UTF-8.
    pub other: u64,
    /// Tokens that are no text: images, and what marks a turn's beginning and end.
    pub fixed: u64,
}

impl Size {
    /// The size of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let other = text.bytes().filter(|byte| !byte.is_ascii()).count() as u64;
        Self { ascii: text.len() as u64 - other, other, fixed: 0 }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, more: Self) -> Self {
        Self {
            ascii: self.ascii.saturating_add(more.ascii),
            other: self.other.saturating_add(more.other),
            fixed: self.fixed.saturating_add(more.fixed),
        }
    }

    /// Tokens of its text by what is usual.
    fn usual(self) -> u64 {
        self.ascii.div_ceil(ASCII_BYTES_PER_TOKEN).saturating_add(self.other.div_ceil(OTHER_BYTES_PER_TOKEN))
    }
}

/// What is known of how many tokens a model makes of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Tokens counted for each token that is usual.
    factor: f64,
    /// How far reports have lain from `factor`, as a share of it, on average.
    spread: f64,
    reports: u32,
}

impl Default for Ratio {
    fn default() -> Self {
        Self { factor: 1.0, spread: UNLEARNT_SPREAD, reports: 0 }
    }
}

impl Ratio {
    /// Learns that a prompt of `size` was `tokens`. What cannot be true of its text is not learnt from.
    pub fn learn(&mut self, size: Size, tokens: u64) {
        let (usual, text) = (size.usual(), tokens.saturating_sub(size.fixed));
        if usual == 0 || text == 0 {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "tokens are far fewer than 2^52")]
        let seen = text as f64 / usual as f64;
        if !BELIEVABLE.contains(&seen) {
            return;
        }
        self.reports = self.reports.saturating_add(1);
        // The first few count for as much as each other, so that what was only usual is soon forgotten.
        let weight = WEIGHT_OF_ONE.max(1.0 / f64::from(self.reports));
        let off = (seen - self.factor).abs() / self.factor;
        self.factor += weight * (seen - self.factor);
        let off = if self.reports == 1 { UNLEARNT_SPREAD } else { off };
        self.spread += weight * (off - self.spread);
    }

    /// Times that something was learnt.
    #[must_use]
    pub const fn reports(&self) -> u32 {
        self.reports
    }

    /// What a prompt of `size` is likely to come to.
    #[must_use]
    pub fn estimate(&self, size: Size) -> Estimate {
        let spread = match self.reports {
            0..MIN_REPORTS => UNLEARNT_SPREAD,
            // On average is not at most.
            _ => (2.0 * self.spread).clamp(MIN_SPREAD, MAX_SPREAD),
        };
        let usual = size.usual();
        let times = |factor: f64| scaled(usual, factor).saturating_add(size.fixed);
        Estimate {
            least: times(self.factor * (1.0 - spread)),
            likely: times(self.factor),
            most: times(self.factor * (1.0 + spread)),
        }
    }

    /// Both numbers and the count, to be kept in 64 bits and found again.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        let number = |value: f64| scaled(1, value * 4096.0).min(0xFF_FFFF);
        number(self.factor) << 40 | number(self.spread) << 16 | u64::from(self.reports.min(0xFFFF))
    }

    /// What `to_bits` gave; zero is what is known at first.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        if bits == 0 {
            return Self::default();
        }
        #[allow(clippy::cast_precision_loss, reason = "of 24 bits")]
        let number = |shift: u32| ((bits >> shift) & 0xFF_FFFF) as f64 / 4096.0;
        let reports = u32::try_from(bits & 0xFFFF).unwrap_or(u32::MAX);
        Self { factor: number(40), spread: number(16), reports }
    }
}

/// `count` times `factor`, rounded.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and below zero there is nothing"
)]
fn scaled(count: u64, factor: f64) -> u64 {
    (count as f64 * factor).round() as u64
}

/// Tokens of a prompt, as near as they can be told before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    /// At least this many, with few exceptions.
    pub least: u64,
    /// The best guess.
    pub likely: u64,
    /// At most this many, with few exceptions.
    pub most: u64,
}

impl Estimate {
    /// What `tokens` that were counted are.
    #[must_use]
    pub const fn exactly(tokens: u64) -> Self {
        Self { least: tokens, likely: tokens, most: tokens }
    }

    /// What `tokens` that were counted here are to a provider, which marks turns in its own way.
    #[must_use]
    pub const fn counted(tokens: u64) -> Self {
        let off = tokens / 50 + 2;
        Self { least: tokens.saturating_sub(off), likely: tokens, most: tokens.saturating_add(off) }
    }

    /// The same, if what is likely turned out to be `factor` times as much. Unlikely factors are not believed.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let factor = if factor.is_finite() { factor.clamp(*BELIEVABLE.start(), *BELIEVABLE.end()) } else { 1.0 };
        let times = |tokens: u64| scaled(tokens, factor);
        Self { least: times(self.least), likely: times(self.likely), most: times(self.most) }
    }

    /// Whether it fits `window` together with `answer`, the tokens that are kept free for what is said. A prompt that
    /// may fit is worth asking about: only the provider knows, and a refusal costs little.
    #[must_use]
    pub const fn fits(&self, answer: u64, window: u64) -> Fit {
        if self.most.saturating_add(answer) <= window {
            Fit::Surely
        } else if self.least.saturating_add(answer) <= window {
            Fit::Perhaps
        } else {
            Fit::No
        }
    }
}

/// Whether a prompt fits a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// By any estimate.
    Surely,
    /// By some, and by others not.
    Perhaps,
    /// By none.
    No,
}

/// Whether a document of `bytes`, whatever it says, leaves room for `answer` tokens in `window`, told by its length
/// alone: a token is at least one byte, and of all but rare texts at least [`FEWEST_BYTES_PER_TOKEN`].
#[must_use]
pub const fn fits_by_length(bytes: u64, answer: u64, window: u64) -> bool {
    (bytes / FEWEST_BYTES_PER_TOKEN).saturating_add(answer) <= window
}

/// The fewest tokens for an answer that are worth asking for when `asked` do not fit: a quarter, and 256 unless fewer
/// were asked for.
#[must_use]
pub fn fewest_for_answer(asked: u64) -> u64 {
    (asked / 4).max(256).min(asked)
}
