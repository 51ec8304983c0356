//! The layout: the names of all keys, and what each holds.
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

/// The names of all keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) prefix: String,
}

impl Keys {
    /// Patterns, without the prefix, that together match all keys.
    pub(super) const KINDS: [&str; 6] = ["positions", "installation", "earlier", "block:*", "total:*", "recent:*"];

    pub(super) fn positions(&self) -> String {
        format!("{}positions", self.prefix)
    }

    pub(super) fn installation(&self) -> String {
        format!("{}installation", self.prefix)
    }

    pub(super) fn earlier(&self) -> String {
        format!("{}earlier", self.prefix)
    }

    /// The beginning of all blocks' keys.
    pub(super) fn blocks(&self) -> String {
        format!("{}block:", self.prefix)
    }

    pub(super) fn block(&self, block: petstore::BlockId) -> String {
        format!("{}block:{block}", self.prefix)
    }

    pub(super) fn count(&self, block: petstore::BlockId) -> String {
        format!("{}block:{block}:count", self.prefix)
    }

    pub(super) fn state(&self, state: petstore::State) -> String {
        format!("{}total:state:{}", self.prefix, state.code())
    }

    pub(super) fn store(&self, store: u32) -> String {
        format!("{}total:store:{store}", self.prefix)
    }

    pub(super) fn recent(&self, customer: u64) -> String {
        format!("{}recent:{customer}", self.prefix)
    }
}
