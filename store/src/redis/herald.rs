//! Whether people should hear that a connection is lost, or there again: each once, and seldom where that goes on and
//! on. Nothing is logged here. No clock inside: it counts looks at a connection that is well, one a second or so.

/// After so many good looks in a row a connection is steady, and its next loss is a new story.
const STEADY: u32 = 64;

/// Remembers what people were told last.
#[derive(Debug)]
pub(super) struct Herald {
    /// People take it for lost.
    told_lost: bool,
    /// Good looks since it was made.
    looks: u32,
    /// Good looks after which people hear that it is there again. Each time they have heard so in vain it is twice as
    /// many: a server that greets and then refuses, or answers too late, is connected to again and again.
    wanted: u32,
}

impl Default for Herald {
    fn default() -> Self {
        Self { told_lost: false, looks: 0, wanted: 1 }
    }
}

impl Herald {
    /// It is lost, or could not be made: whether to say so.
    pub(super) fn lost(&mut self) -> bool {
        self.looks = 0;
        !std::mem::replace(&mut self.told_lost, true)
    }

    /// It has been looked at, and is well: whether to say so.
    pub(super) fn is_well(&mut self) -> bool {
        self.looks = self.looks.saturating_add(1);
        let tells = self.told_lost && self.looks >= self.wanted;
        if tells {
            self.told_lost = false;
            self.wanted = (self.wanted * 2).min(STEADY);
        }
        if self.looks >= STEADY {
            self.wanted = 1;
        }
        tells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often people hear something while connections are lost after so many good looks each.
    fn told(losses: u32, looks: u32) -> u32 {
        let mut herald = Herald::default();
        let mut told = 0;
        for _ in 0..losses {
            told += u32::from(herald.lost());
            told += (0..looks).map(|_| u32::from(herald.is_well())).sum::<u32>();
        }
        told
    }

    #[test]
    fn each_loss_and_return_is_told_once_where_connections_are_steady() {
        assert_eq!(told(1, 1), 2);
        assert_eq!(told(5, STEADY), 10);
    }

    #[test]
    fn what_is_lost_again_and_again_is_told_few_times() {
        assert_eq!(told(100_000, 0), 1, "it was never well");
        assert_eq!(told(100_000, 1), 3, "well once, and lost again");
        assert!(told(100_000, STEADY - 1) <= 13);
    }

    #[test]
    fn a_connection_that_was_never_lost_is_not_spoken_of() {
        let mut herald = Herald::default();
        assert!((0..3 * STEADY).all(|_| !herald.is_well()));
    }
}
