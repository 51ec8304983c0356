//! Whether the sales of one loader and store come in the order in which they were sent.

use std::collections::HashMap;

use petstore::SaleId;

/// Stores times loaders that are followed: 8 bytes each. Beyond that everything is forgotten: a sale that comes behind
/// one from before then counts as in order.
const FOLLOWED: usize = 2_000_000;

/// The last sale of each run, loader and store, on topics where all sales of a store are in one partition.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// By run and loader, then by store: the highest (block, index) that came, plus one.
    last: HashMap<(u32, u32), Vec<u64>>,
    followed: usize,
}

impl Order {
    /// Takes the next sale of a store; gives the later one of the same loader that came before it, if one did.
    pub(crate) fn came(&mut self, id: SaleId, store: u32) -> Option<SaleId> {
        let (key, at) = ((id.run, id.loader), store as usize);
        let known = self.last.get(&key).map_or(0, Vec::len);
        if at >= known {
            if at >= FOLLOWED {
                return None;
            }
            if self.followed + at + 1 - known > FOLLOWED {
                *self = Self::default();
            }
            let stores = self.last.entry(key).or_default();
            self.followed += at + 1 - stores.len();
            stores.resize(at + 1, 0);
        }
        let last = self.last.get_mut(&key)?.get_mut(at)?;
        let this = (u64::from(id.block) << 32 | u64::from(id.index)) + 1;
        let before = (this <= *last).then(|| *last - 1);
        *last = this.max(*last);
        let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
        before.map(|before| SaleId { block: half(before >> 32), index: half(before), ..id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(block: u32, index: u32) -> SaleId {
        SaleId { run: 1, loader: 2, block, index }
    }

    #[test]
    fn a_sale_behind_a_later_one_of_its_store_is_out_of_order() {
        let mut order = Order::default();
        let came =
            [(0, 5), (0, 9), (1, 3), (0, 10), (1, 4), (1, 4)].map(|(block, index)| order.came(sale(block, index), 7));
        assert_eq!(came, [None, None, None, Some(sale(1, 3)), None, Some(sale(1, 4))]);
    }

    #[test]
    fn other_stores_loaders_and_runs_have_their_own_order() {
        let mut order = Order::default();
        assert_eq!(order.came(sale(5, 5), 7), None);
        assert_eq!(order.came(sale(0, 0), 8), None);
        assert_eq!(order.came(SaleId { loader: 3, ..sale(0, 0) }, 7), None);
        assert_eq!(order.came(SaleId { run: 2, ..sale(0, 0) }, 7), None);
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_accuses_nobody() {
        let mut order = Order::default();
        assert!(order.came(sale(5, 5), u32::MAX).is_none(), "no store has such a number");
        assert_eq!(order.came(sale(5, 5), 0), None);
        for loader in 3..6 {
            assert_eq!(order.came(SaleId { loader, ..sale(0, 0) }, 999_999), None);
            assert!(order.followed <= FOLLOWED);
        }
        assert_eq!(order.came(sale(0, 0), 0), None);
    }
}
