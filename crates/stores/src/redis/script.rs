//! The arguments of the script for one part, and its answers.

use std::collections::{BTreeMap, HashMap, HashSet};

use petstore::{BlockId, Sale, SaleId, State};
use redis::Cmd;

use super::Keys;
use crate::{Part, Record};

/// The script. Its first lines describe its arguments and answers.
pub(super) const SCRIPT: &str = include_str!("write.lua");

/// Lua passes fewer than 8000 arguments to a function, and each sale of a block takes four of them.
const MAX_SALES_A_BLOCK: usize = 1_500;

/// Sales that a customer's list holds.
const RECENT_SALES: usize = 10;

/// The arguments that are the same for all parts.
pub(super) struct Frame<'a> {
    pub(super) keys: &'a Keys,
    pub(super) sha: &'a str,
    pub(super) installation: &'a str,
    pub(super) ttl_seconds: u64,
}

/// One part, in the form in which the script takes it.
pub(super) struct Call<'a> {
    part: &'a Part,
    blocks: Vec<Block>,
    /// The first record of each sale.
    unique: Vec<&'a Record>,
    /// Sales of the part that were in Redis before, according to the script.
    known: HashSet<SaleId>,
}

struct Block {
    id: BlockId,
    came: u64,
    /// Without repetitions.
    indices: Vec<u32>,
}

/// What the script answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Written,
    Moved(i64),
    OtherInstallation(String),
    /// A digit for each index of each block.
    Known(Vec<String>),
}

impl<'a> Call<'a> {
    pub(super) fn new(part: &'a Part) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open: HashMap<BlockId, usize> = HashMap::new();
        let mut unique = Vec::with_capacity(part.records.len());
        let mut seen = HashSet::with_capacity(part.records.len());
        for record in &part.records {
            let id = record.sale().id;
            let fits = |at: &&usize| blocks[**at].indices.len() < MAX_SALES_A_BLOCK;
            let at = open.get(&id.block_id()).filter(fits).copied().unwrap_or_else(|| {
                blocks.push(Block { id: id.block_id(), came: 0, indices: Vec::new() });
                open.insert(id.block_id(), blocks.len() - 1);
                blocks.len() - 1
            });
            blocks[at].came += 1;
            if seen.insert(id) {
                blocks[at].indices.push(id.index);
                unique.push(record);
            }
        }
        Self { part, blocks, unique, known: HashSet::new() }
    }

    /// Takes the script's answer: the next call expects these sales to be there.
    pub(super) fn expect(&mut self, found: &[String]) {
        self.known.clear();
        for (block, digits) in self.blocks.iter().zip(found) {
            let known = block.indices.iter().zip(digits.bytes()).filter(|(_, digit)| *digit == b'1');
            self.known.extend(known.map(|(index, _)| block.id.sale(*index)));
        }
    }

    /// How many of the sales are not new.
    pub(super) fn conflicts(&self) -> u64 {
        (self.part.records.len() - self.unique.len() + self.known.len()) as u64
    }

    /// The sales that aren't there yet.
    fn fresh(&self) -> Vec<&'a Sale> {
        self.unique.iter().map(|record| record.sale()).filter(|sale| !self.known.contains(&sale.id)).collect()
    }

    pub(super) fn command(&self, frame: &Frame<'_>) -> Cmd {
        let Frame { keys, sha, installation, ttl_seconds } = frame;
        let Part { partition: (topic, number), expected, next, .. } = self.part;
        let mut command = redis::cmd("EVALSHA");
        command.arg(*sha).arg(2).arg(keys.positions()).arg(keys.installation());
        command.arg(format!("{topic}:{number}")).arg(expected).arg(next).arg(*installation).arg(ttl_seconds);
        command.arg(RECENT_SALES);

        command.arg(self.blocks.len());
        for block in &self.blocks {
            let known = if self.known.is_empty() { String::new() } else { self.digits(block) };
            command.arg(keys.block(block.id)).arg(keys.count(block.id)).arg(block.came).arg(known);
            command.arg(block.indices.len());
            for index in &block.indices {
                command.arg(index);
            }
        }

        let fresh = self.fresh();
        let mut states: BTreeMap<State, (u64, u64)> = BTreeMap::new();
        let mut stores: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for sale in &fresh {
            for (sales, cents) in [states.entry(sale.state()).or_default(), stores.entry(sale.store.id).or_default()] {
                *sales += 1;
                *cents += u64::from(sale.cents);
            }
        }
        command.arg(states.len() + stores.len());
        for (state, (sales, cents)) in states {
            command.arg(keys.state(state)).arg(sales).arg(cents);
        }
        for (store, (sales, cents)) in stores {
            command.arg(keys.store(store)).arg(sales).arg(cents);
        }

        // A part has several sales of most customers, and each list is changed once.
        let mut recent: BTreeMap<u64, Vec<&Sale>> = BTreeMap::new();
        for sale in fresh {
            recent.entry(sale.customer.id).or_default().push(sale);
        }
        for (customer, sales) in recent {
            let newest = &sales[sales.len().saturating_sub(RECENT_SALES)..];
            command.arg(keys.recent(customer)).arg(newest.len());
            for Sale { id, time, store, cents, .. } in newest {
                let store = store.id;
                command.arg(format!(r#"{{"id":"{id}","time":{time},"store":{store},"cents":{cents}}}"#));
            }
        }
        command
    }

    fn digits(&self, block: &Block) -> String {
        let digit = |index: &u32| if self.known.contains(&block.id.sale(*index)) { '1' } else { '0' };
        block.indices.iter().map(digit).collect()
    }
}

impl Answer {
    pub(super) fn read((code, mut rest): (i64, Vec<String>)) -> anyhow::Result<Self> {
        Ok(match code {
            0 => Self::Written,
            1 => Self::Moved(rest.pop().unwrap_or_default().parse()?),
            2 => Self::OtherInstallation(rest.pop().unwrap_or_default()),
            _ => Self::Known(rest),
        })
    }
}

#[cfg(test)]
mod tests {
    use petstore::SaleRef;
    use proptest::prelude::*;
    use redis::Arg;

    use super::*;
    use crate::strange;

    proptest! {
        // Four strange bodies of five are not valid.
        #![proptest_config(ProptestConfig { max_global_rejects: 10_000, ..ProptestConfig::default() })]
        #[test]
        fn every_valid_body_makes_arguments_that_say_the_same(body in strange::body()) {
            prop_assume!(SaleRef::parse(&body).is_ok());
            let sale: Sale = serde_json::from_slice(&body).unwrap();
            let record = Record::new(sale.clone(), 1, 0).unwrap();
            let part = Part { partition: ("sales.ca".into(), 0), expected: 0, next: 1, records: vec![record] };
            let keys = Keys { prefix: "p:".to_owned() };
            let command =
                Call::new(&part).command(&Frame { keys: &keys, sha: "sha", installation: "kafka", ttl_seconds: 1 });

            let text = |arg: Arg<&[u8]>| match arg {
                Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Arg::Cursor => panic!("a cursor"),
                other => panic!("{other:?}"),
            };
            let arguments: Vec<String> = command.args_iter().map(text).collect();
            prop_assert!(arguments.contains(&sale.id.index.to_string()));
            prop_assert!(arguments.contains(&keys.recent(sale.customer.id)));
            let entry: serde_json::Value = serde_json::from_str(arguments.last().unwrap()).unwrap();
            let expected =
                serde_json::json!({"id": sale.id, "time": sale.time, "store": sale.store.id, "cents": sale.cents});
            prop_assert_eq!(entry, expected);
        }
    }
}
