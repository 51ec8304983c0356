//! The auditor's queries.

use petstore::{BlockId, State};

use super::connection::Connection;
use super::{Config, glob};
use crate::{Counts, Error, Listed, Positions};

/// Reads sales, blocks and positions; changes nothing.
pub struct Reader {
    connection: Connection,
}

/// What was sold, each sale counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Number of sales.
    pub sales: u64,
    /// What they cost together.
    pub cents: u64,
}

impl Reader {
    /// Connects at its first use.
    pub fn new(config: Config) -> Self {
        Self { connection: Connection::new(config) }
    }

    /// The positions of all partitions.
    pub async fn positions(&mut self) -> Result<Positions, Error> {
        let keys = self.connection.keys.clone();
        self.connection
            .run("reading positions", async |open| {
                let mut pipe = redis::pipe();
                pipe.get(keys.installation()).hgetall(keys.positions());
                let (installation, fields): (Option<String>, Vec<(String, i64)>) = pipe.query_async(open).await?;
                let partition = |field: &str| {
                    let (topic, number) = field.rsplit_once(':')?;
                    Some((topic.to_owned(), number.parse().ok()?))
                };
                let next = fields.iter().filter_map(|(field, next)| Some((partition(field)?, *next))).collect();
                anyhow::Ok(Positions { installation, adopted: 0, next })
            })
            .await
    }

    /// How many sales of each block there are, in the order of `blocks`. None of a block that has expired.
    pub async fn counts(&mut self, blocks: &[BlockId]) -> Result<Vec<Counts>, Error> {
        if blocks.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.connection.keys.clone();
        self.connection
            .run("counting sales", async |open| {
                // In one transaction: a write between the two commands would look like a repeated sale.
                let mut pipe = redis::pipe();
                pipe.atomic();
                for block in blocks {
                    pipe.cmd("BITCOUNT").arg(keys.block(*block)).get(keys.count(*block));
                }
                let answers: Vec<Option<u64>> = pipe.query_async(open).await?;
                let counts = |pair: &[Option<u64>]| {
                    let (found, came) = (pair[0].unwrap_or_default(), pair[1].unwrap_or_default());
                    Counts { found, conflicts: came.saturating_sub(found) }
                };
                anyhow::Ok(answers.chunks_exact(2).map(counts).collect())
            })
            .await
    }

    /// The indices of a block that are there, in their order.
    pub async fn present(&mut self, block: BlockId) -> Result<Vec<u32>, Error> {
        let key = self.connection.keys.block(block);
        let bits: Option<Vec<u8>> = self
            .connection
            .run("reading a block", async |open| Ok(redis::cmd("GET").arg(&key).query_async(open).await?))
            .await?;
        Ok(indices(&bits.unwrap_or_default()))
    }

    /// Some of the blocks, and the cursor of the next call, which is 0 after the last ones. A block may be returned twice.
    pub async fn blocks(&mut self, cursor: u64) -> Result<(u64, Vec<Listed>), Error> {
        let prefix = self.connection.keys.blocks();
        let (pattern, earlier) = (glob::all_after(&prefix), self.connection.keys.earlier());
        self.connection
            .run("listing blocks", async |open| {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCANNED);
                let (cursor, keys): (u64, Vec<String>) = scan.query_async(open).await?;
                // The empty member is there because the command needs at least one.
                let mut members = redis::cmd("SMISMEMBER");
                members.arg(&earlier).arg("").arg(&keys);
                let are_earlier: Vec<bool> = members.query_async(open).await?;
                // Keys of counters don't end in a block's id, and are left out here.
                let listed = |(key, is_earlier): (&String, &bool)| {
                    Some(Listed { id: key.strip_prefix(&prefix)?.parse().ok()?, is_earlier: *is_earlier })
                };
                anyhow::Ok((cursor, keys.iter().zip(&are_earlier[1..]).filter_map(listed).collect()))
            })
            .await
    }

    /// Number and value of all sales in each of `states`.
    pub async fn totals(&mut self, states: &[State]) -> Result<Vec<Total>, Error> {
        let keys = self.connection.keys.clone();
        self.connection
            .run("reading totals", async |open| {
                let mut pipe = redis::pipe();
                for state in states {
                    pipe.cmd("HMGET").arg(keys.state(*state)).arg("sales").arg("cents");
                }
                let totals: Vec<(Option<u64>, Option<u64>)> = pipe.query_async(open).await?;
                let total = |(sales, cents): (Option<u64>, Option<u64>)| Total {
                    sales: sales.unwrap_or_default(),
                    cents: cents.unwrap_or_default(),
                };
                anyhow::Ok(totals.into_iter().map(total).collect())
            })
            .await
    }

    /// The last sales of a customer, newest first, as JSON.
    pub async fn recent(&mut self, customer: u64) -> Result<Vec<String>, Error> {
        let key = self.connection.keys.recent(customer);
        self.connection
            .run("reading recent sales", async |open| {
                Ok(redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query_async(open).await?)
            })
            .await
    }
}

/// Keys that one SCAN looks at, matching or not.
const SCANNED: usize = 1_000;

/// In Redis, bit 0 is the highest bit of the first byte.
fn indices(bytes: &[u8]) -> Vec<u32> {
    let bits =
        (0_u32..).zip(bytes).flat_map(|(n, byte)| (0..8).map(move |bit| (8 * n + bit, byte & (0x80 >> bit) != 0)));
    bits.filter_map(|(index, set)| set.then_some(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_from_the_left() {
        assert_eq!(indices(&[0b1000_0001, 0, 0b0100_0000]), [0, 7, 17]);
        assert_eq!(indices(&[]), Vec::<u32>::new());
    }
}
