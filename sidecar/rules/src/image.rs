//! Images: how large one may be, and what is asked for instead once memory has run out on it.
//!
//! How a request says its size, and what else shapes an image, is not known here.

/// The longest side, in pixels, of what is asked for once memory has run out.
pub const SMALL_SIDE: u32 = 512;
/// Steps of inference are never cut below this many.
pub const FEWEST_STEPS: u32 = 10;
/// Diffusion models work on blocks of this many pixels a side, and refuse other sizes or round them.
const BLOCK: u32 = 8;

/// What of an image's making takes memory and time. `None`: that is left to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measure {
    /// How large it is.
    pub size: Option<Size>,
    /// Steps of inference.
    pub steps: Option<u32>,
}

/// An image's size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Across.
    pub width: u32,
    /// Down.
    pub height: u32,
}

impl Size {
    /// All of its pixels.
    #[must_use]
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// The same shape with sides of at most `side`, in whole blocks; itself if it is no larger.
    #[must_use]
    pub fn within(self, side: u32) -> Self {
        let longer = self.width.max(self.height);
        if longer <= side {
            return self;
        }
        let scaled = |length: u32| {
            let scaled = u64::from(length) * u64::from(side) / u64::from(longer);
            let scaled = u32::try_from(scaled).unwrap_or(side);
            (scaled / BLOCK * BLOCK).max(BLOCK.min(length))
        };
        Self { width: scaled(self.width), height: scaled(self.height) }
    }
}

/// What is asked for once memory has run out on `asked`: half the steps, but at least [`FEWEST_STEPS`], and sides of at
/// most [`SMALL_SIDE`]. Steps that nobody named are left to the provider: it is pixels that take the memory. `None`:
/// it is as little already.
#[must_use]
pub fn less(asked: Measure) -> Option<Measure> {
    let small = Size { width: SMALL_SIDE, height: SMALL_SIDE };
    let less = Measure {
        size: Some(asked.size.map_or(small, |size| size.within(SMALL_SIDE))),
        steps: asked.steps.map(|steps| steps.min((steps / 2).max(FEWEST_STEPS))),
    };
    (less != asked).then_some(less)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measure(width: u32, height: u32, steps: Option<u32>) -> Measure {
        Measure { size: Some(Size { width, height }), steps }
    }

    #[test]
    fn once_memory_has_run_out_less_is_asked_for() {
        let table = [
            (measure(1024, 1024, Some(50)), Some(measure(512, 512, Some(25)))),
            (measure(1024, 768, Some(15)), Some(measure(512, 384, Some(10)))),
            (measure(700, 1400, None), Some(measure(256, 512, None))),
            (measure(1000, 333, Some(10)), Some(measure(512, 168, Some(10)))),
            (measure(65536, 1, Some(4)), Some(measure(512, 1, Some(4)))),
            (measure(256, 256, Some(30)), Some(measure(256, 256, Some(15)))),
            (measure(512, 512, Some(10)), None),
            (measure(256, 512, None), None),
            (Measure::default(), Some(measure(512, 512, None))),
            (Measure { size: None, steps: Some(40) }, Some(measure(512, 512, Some(20)))),
        ];
        for (asked, expected) in table {
            assert_eq!(less(asked), expected, "{asked:?}");
        }
    }

    proptest! {
        #[test]
        fn less_is_never_more_and_nothing_is_less_than_that(
            width in 1_u32..70_000, height in 1_u32..70_000, steps in proptest::option::of(1_u32..2_000),
        ) {
            let asked = measure(width, height, steps);
            if let Some(Measure { size: Some(size), steps: fewer }) = less(asked) {
                prop_assert!(size.width <= width.min(SMALL_SIDE) && size.height <= height.min(SMALL_SIDE));
                prop_assert!(size.width > 0 && size.height > 0);
                prop_assert!(fewer <= steps);
                let again = less(Measure { size: Some(size), steps: fewer });
                prop_assert!(again.is_none_or(|again| again.size == Some(size)), "{again:?}");
            }
        }
    }
}
