//! Checks `sales` against what the loaders say on `kapture.blocks`, and each sale against the model.

use std::collections::HashMap;

use kafka::blocks::{Published, read_all};
use petstore::{BlockId, Petstore};
use serde_json::{Value, json};

use crate::{topics, truth};

/// Every sale that was acknowledged must be there, once and as the model makes it, and no other. What is there and was not
/// acknowledged is unknown.
pub(crate) fn compare(kafka: &kafka::Config) -> anyhow::Result<Value> {
    let blocks: HashMap<BlockId, Published> =
        read_all(kafka, topics::LIMIT)?.into_iter().map(|block| (block.id, block)).collect();
    // Each body, and whether it was found.
    let mut sold: HashMap<BlockId, Vec<(Vec<u8>, bool)>> = HashMap::new();
    for Published { id, record, .. } in blocks.values() {
        let block = Petstore::new(record.parameters.clone())?.block(*id);
        let encoded = |sale: petstore::Generated<'_>| {
            let mut body = Vec::new();
            sale.write_json(&mut body);
            (body, false)
        };
        sold.insert(*id, block.iter().map(encoded).collect());
    }
    let (mut found, mut bytes, mut altered, mut repeated, mut unknown) = (0_u64, 0, 0_u64, 0_u64, 0_u64);
    topics::read_all(kafka, &[kafka.names().sales()], |record| {
        let header = truth::header(record)?;
        let (id, index) = (header.id.block_id(), header.id.index as usize);
        let body = record.payload().unwrap_or_default();
        found += 1;
        bytes += body.len() as u64;
        let acknowledged = blocks.get(&id).is_some_and(|block| block.record.acknowledged.contains(header.id.index));
        unknown += u64::from(!acknowledged);
        match sold.get_mut(&id).and_then(|sales| sales.get_mut(index)) {
            Some((sent, seen)) => {
                altered += u64::from(sent != body);
                repeated += u64::from(std::mem::replace(seen, true));
            }
            None => altered += 1,
        }
        Ok(())
    })?;
    let acknowledged: u64 = blocks.values().map(|block| u64::from(block.record.acknowledged.len())).sum();
    let lost = (acknowledged + unknown + repeated).saturating_sub(found);
    Ok(json!({
        "well": lost + altered + repeated + unknown == 0, "found": found, "lost": lost, "altered": altered,
        "repeated": repeated, "unacknowledged": unknown, "mean_bytes": bytes / found.max(1),
    }))
}
