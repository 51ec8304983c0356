//! Sales in Redis (7 or later) or Valkey: no modules, no cluster.
//!
//! Every key begins with the prefix (`REDIS_PREFIX`):
//!
//! | key | kind | holds |
//! | --- | --- | --- |
//! | `positions` | hash | field `<topic>:<partition>`: one after the last offset written |
//! | `installation` | string | which Kafka the positions count in |
//! | `earlier` | set | keys of the blocks that came from an earlier Kafka, whose positions were dropped; lives as long as they do |
//! | `block:<block id>` | bitmap | a bit for each sale of the block that is here; lives as long as the block's time to live |
//! | `block:<block id>:count` | counter | how many sales of the block came, repeated ones as well; lives as long |
//! | `total:state:<code>` | hash | `sales` and `cents` of all sales in the state |
//! | `total:store:<store id>` | hash | the same by store |
//! | `recent:<customer id>` | list | the customer's last ten sales, newest first, as JSON `{"id","time","store","cents"}`; lives as long |
//!
//! A sale that came twice is counted once in totals and lists. Only its block shows it: the counter exceeds the bits set.

mod connection;
mod glob;
mod read;
mod script;
mod write;

pub use connection::{BlockTtl, Config};
pub use read::{Reader, Total};
pub use write::Writer;

/// The names of all keys.
#[derive(Clone, Debug)]
struct Keys {
    prefix: String,
}

impl Keys {
    /// Patterns, without the prefix, that together match all keys.
    const KINDS: [&str; 6] = ["positions", "installation", "earlier", "block:*", "total:*", "recent:*"];

    fn positions(&self) -> String {
        format!("{}positions", self.prefix)
    }

    fn installation(&self) -> String {
        format!("{}installation", self.prefix)
    }

    fn earlier(&self) -> String {
        format!("{}earlier", self.prefix)
    }

    /// The beginning of all blocks' keys.
    fn blocks(&self) -> String {
        format!("{}block:", self.prefix)
    }

    fn block(&self, block: petstore::BlockId) -> String {
        format!("{}block:{block}", self.prefix)
    }

    fn count(&self, block: petstore::BlockId) -> String {
        format!("{}block:{block}:count", self.prefix)
    }

    fn state(&self, state: petstore::State) -> String {
        format!("{}total:state:{}", self.prefix, state.code())
    }

    fn store(&self, store: u32) -> String {
        format!("{}total:store:{store}", self.prefix)
    }

    fn recent(&self, customer: u64) -> String {
        format!("{}recent:{customer}", self.prefix)
    }
}
