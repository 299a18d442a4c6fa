//! Pages of what is long: a token is the number of the last that was told.

use super::{Fault, Refusal};

/// Events in one reply, at most.
const MOST_IN_PAGE: u32 = 500;
/// How many there are in a page where nobody says.
const USUAL: u32 = 100;

/// A page that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// `None`: from the newest.
    pub(super) before: Option<u64>,
    pub(super) most: u32,
}

impl Page {
    pub(super) fn of(size: u32, token: &str) -> Result<Self, Refusal> {
        let odd =
            || Refusal::Invalid(vec![Fault::new("page_token", "is none that a page has ended with: leave it out")]);
        let before = if token.is_empty() { None } else { Some(token.parse().map_err(|_| odd())?) };
        Ok(Self { before, most: if size == 0 { USUAL } else { size.min(MOST_IN_PAGE) } })
    }

    /// The token of the page after this one; empty: it was the last.
    pub(super) fn next(&self, told: impl Iterator<Item = u64>) -> String {
        let (mut last, mut count) = (None, 0);
        for number in told {
            (last, count) = (Some(number), count + 1);
        }
        last.filter(|_| count == self.most).map(|number| number.to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_by_the_number_of_the_last() {
        let page = Page::of(2, "").unwrap();
        assert_eq!((page.before, page.most, page.next([9, 7].into_iter())), (None, 2, "7".to_owned()));
        let page = Page::of(2, "7").unwrap();
        assert_eq!((page.before, page.next([5].into_iter())), (Some(7), String::new()));
        assert_eq!((Page::of(0, "").unwrap().most, Page::of(9_999, "").unwrap().most), (USUAL, MOST_IN_PAGE));
        assert!(Page::of(1, "x").is_err());
    }
}
