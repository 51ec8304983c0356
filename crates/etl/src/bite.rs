//! How much is asked of a store at once: half as much after it was too much, and a little more with each success.
//!
//! A store that is slow under load ends what takes too long. Asked again for the same it would end that too, for ever,
//! while the backlog grows.

/// A number of sales.
#[derive(Debug)]
pub(crate) struct Bite {
    size: usize,
    most: usize,
}

impl Bite {
    /// Begins with `most`, and never exceeds it.
    pub(crate) fn new(most: usize) -> Self {
        Self { size: most, most }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// So many were too much.
    pub(crate) fn shrink(&mut self, tried: usize) {
        self.size = (self.size.min(tried) / 2).max(1);
    }

    /// All of it was done. Slowly, since each try that is too much costs as long as the store's limit.
    pub(crate) fn grow(&mut self) {
        self.size = self.size.saturating_add(self.size / 8 + 1).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_too_much_is_halved_down_to_one_sale_and_grows_back() {
        let mut bite = Bite::new(9);
        for (tried, size) in [(5, 2), (2, 1), (1, 1)] {
            bite.shrink(tried);
            assert_eq!(bite.size(), size);
        }
        for expected in [2, 3, 4, 5, 6, 7, 8, 9, 9] {
            bite.grow();
            assert_eq!(bite.size(), expected);
        }
    }

    #[test]
    fn what_was_too_much_is_not_asked_for_again_soon() {
        let mut bite = Bite::new(20_000);
        bite.shrink(20_000);
        for _ in 0..5 {
            bite.grow();
        }
        assert!(bite.size() < 20_000, "{bite:?}");
    }
}
