//! Kubernetes' quantities, as far as processor and memory need them: read exactly, and compared.

/// So many thousand-millionths of one: `500m` is 500 000 000 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quantity(u128);

/// One, in thousand-millionths.
const ONE: u128 = 1_000_000_000;
/// More digits than any amount has.
const MAX_DIGITS: usize = 18;
/// Exponents of ten that a quantity may be written with.
const EXPONENTS: std::ops::RangeInclusive<i32> = -9..=18;

/// A thousandth of a processor, the finest that Kubernetes hands out.
pub(super) const MILLI: Quantity = Quantity(ONE / 1000);
/// A mebibyte.
pub(super) const MEBI: Quantity = Quantity(ONE << 20);

impl Quantity {
    /// `text` as a quantity: `2`, `0.5`, `500m`, `128Mi`, `1.5G`, `1e3`. What is finer than a thousand-millionth is
    /// rounded up, as Kubernetes does.
    pub(super) fn read(text: &str) -> Option<Self> {
        let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || digits.len() > MAX_DIGITS {
            return None;
        }
        let (times, parts) = scale(suffix)?;
        let parts = parts.checked_mul(10_u128.pow(u32::try_from(fraction.len()).ok()?))?;
        Some(Self(digits.parse::<u128>().ok()?.checked_mul(times)?.div_ceil(parts)))
    }
}

/// What a number with this suffix is to be multiplied with, then divided by.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let times = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => ONE,
        "k" => ONE * 1_000,
        "M" => ONE * 1_000_000,
        "G" => ONE * 1_000_000_000,
        "T" => ONE * 1_000_000_000_000,
        "P" => ONE * 1_000_000_000_000_000,
        "E" => ONE * 1_000_000_000_000_000_000,
        "Ki" => ONE << 10,
        "Mi" => ONE << 20,
        "Gi" => ONE << 30,
        "Ti" => ONE << 40,
        "Pi" => ONE << 50,
        "Ei" => ONE << 60,
        exponent => {
            let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_u128.pow(exponent.unsigned_abs().min(EXPONENTS.end().unsigned_abs()));
            return EXPONENTS.contains(&exponent).then_some(if exponent < 0 { (ONE, power) } else { (ONE * power, 1) });
        }
    };
    Some((times, 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        #[rustfmt::skip]
        let right: [(&str, u128); 15] = [
            ("0", 0), ("2", 2 * ONE), ("0.5", ONE / 2), ("500m", ONE / 2), (".5", ONE / 2), ("5.", 5 * ONE),
            ("1k", 1_000 * ONE), ("128Mi", (128 << 20) * ONE), ("1.5Gi", (3 << 29) * ONE), ("1e3", 1_000 * ONE),
            ("1E3", 1_000 * ONE), ("1e-3", ONE / 1_000), ("1E", 10_u128.pow(18) * ONE), ("3n", 3), ("0.5n", 1),
        ];
        for (text, nanos) in right {
            assert_eq!(Quantity::read(text), Some(Quantity(nanos)), "{text}");
        }
        for wrong in ["", ".", "m", "-1", "+1", "1 Mi", "1mi", "1MiB", "1..5", "1.5.", "1e", "1e99", "0x10", "1K", "½"]
        {
            assert_eq!(Quantity::read(wrong), None, "{wrong}");
        }
        assert_eq!((MILLI, MEBI), (Quantity::read("1m").unwrap(), Quantity::read("1Mi").unwrap()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_more_is_more(text in "\\PC{0,12}", suffixed in "[0-9.]{0,20}(m|Ki|E|e-?[0-9]{0,12})?", number in 0_u32..) {
            let _ = (Quantity::read(&text), Quantity::read(&suffixed));
            let read = |suffix: &str| Quantity::read(&format!("{number}{suffix}")).unwrap();
            prop_assert!(read("m") <= read("") && read("") <= read("Ki") && read("M") <= read("Mi"));
        }
    }
}
