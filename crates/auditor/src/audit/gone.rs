//! The account of a Kafka that was emptied or replaced, as the auditor that ran then leaves it to the next one.

use std::collections::HashMap;

use petstore::BlockId;
use serde::{Deserialize, Serialize};
use service::account::EarlierKafka;

use super::Audit;
use super::checkpoint::GONE;
use super::entry::Entry;
use super::reserved::Reserved;
use crate::audit::bits::Bits;
use crate::audit::block::Block;
use crate::audit::findings::{Findings, Kind, SHOWN, Tallies};

/// Kafkas that are told apart: older ones are added to the oldest of these.
const KEPT: usize = 20;

/// What each store holds of blocks, in the order of [`super::STORES`]. A block that a store was not asked about is left out.
pub(crate) type HeldByStores = [HashMap<BlockId, Bits>; 2];

/// The account of one Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gone {
    /// When it was found to be gone: unix time, microseconds.
    pub(crate) at_us: i64,
    /// Everything since its first sale. Nothing is late.
    pub(crate) stages: Tallies,
    /// The first findings.
    pub(crate) findings: Findings,
    /// How many Kafkas this is the account of.
    pub(crate) kafkas: u64,
}

impl Gone {
    /// How many sales were lost at each stage, in words.
    pub(crate) fn losses(&self) -> String {
        let lost = self.stages.0.iter().filter(|(_, tally)| tally.lost > 0);
        let lost: Vec<String> = lost.map(|(stage, tally)| format!("{} at {}", tally.lost, stage.name())).collect();
        if lost.is_empty() { "none".to_owned() } else { lost.join(", ") }
    }
}

impl Audit {
    /// Names the Kafka that this is the account of.
    pub(crate) fn of_kafka(&mut self, installation: String) {
        self.installation = installation;
    }

    /// Takes how many Kafkas a store has adopted.
    pub(crate) fn store_adopted(&mut self, kafkas: u64) {
        self.adopted = kafkas.max(self.adopted);
    }

    /// How many Kafkas a store has adopted before this one.
    pub(crate) fn adopted_kafkas(&self) -> u64 {
        self.adopted
    }

    /// How many of them nobody gave account of: no auditor ran, or it could not write.
    pub(crate) fn unjudged_kafkas(&self) -> u64 {
        self.adopted.saturating_sub(self.gone.values().map(|gone| gone.kafkas).sum())
    }

    /// What the account has of earlier Kafkas, the oldest first.
    pub(super) fn earlier(&self) -> Vec<EarlierKafka> {
        let earlier = |Gone { at_us, stages, findings, .. }: &Gone| EarlierKafka {
            at_us: *at_us,
            stages: stages.clone(),
            findings: findings.iter().count() as u64,
        };
        let mut all: Vec<EarlierKafka> = self.gone.values().map(earlier).collect();
        all.sort_by_key(|kafka| kafka.at_us);
        all
    }

    /// The blocks that a store must be asked about before the account of a Kafka that is gone can be given.
    pub(crate) fn unsettled(&self) -> Vec<BlockId> {
        let late = |block: &Block| block.tallies(true).0.values().any(|tally| tally.late > 0);
        let open = self.open.iter().filter(|(_, block)| late(block)).map(|(id, _)| *id);
        let mut unsettled: Vec<BlockId> = open.chain(self.reserved.keys().copied()).collect();
        unsettled.sort_unstable();
        unsettled
    }

    /// Gives the account of a Kafka that is gone. `held`: what the stores have of the [`Self::unsettled`] blocks.
    pub(crate) fn give_up(&self, held: &HeldByStores, at_us: i64) -> Gone {
        let mut stages = self.done.tallies().clone();
        stages.add(&self.strays());
        let mut findings = self.lasting.findings.clone();
        let mut add = |id: BlockId, block: &Block| {
            let (tallies, lost) = block.account_of_gone(held.each_ref().map(|held| held.get(&id)));
            stages.add(&tallies);
            for (stage, lost) in lost {
                for index in lost.iter().take(SHOWN) {
                    findings.add(stage, Kind::Lost, &id.sale(index), "with a kafka that was replaced");
                }
            }
        };
        for (id, block) in &self.open {
            add(*id, block);
        }
        for (id, Reserved { number, record, .. }) in &self.reserved {
            add(*id, &Block::new(*number, record.clone(), self.watched));
        }
        stages.keep(self.watched);
        Gone { at_us, stages, findings, kafkas: 1 }
    }

    /// What to leave to the next auditor: the account of this Kafka, if it is known, and those of earlier ones.
    pub(crate) fn legacy(&self, gone: Option<Gone>) -> anyhow::Result<Vec<Entry>> {
        let mut all = self.gone.clone();
        all.extend(gone.map(|gone| (self.installation.clone(), gone)));
        let mut by_age: Vec<(String, Gone)> = all.into_iter().collect();
        by_age.sort_by_key(|(_, gone)| gone.at_us);
        let older = by_age.len().saturating_sub(KEPT);
        let folded: Vec<(String, Gone)> = by_age.drain(..older).collect();
        if let Some((_, oldest)) = by_age.first_mut() {
            for (_, gone) in folded {
                oldest.stages.add(&gone.stages);
                oldest.kafkas += gone.kafkas;
            }
        }
        by_age.iter().map(|(installation, gone)| Entry::new(format!("{GONE}{installation}"), Some(gone))).collect()
    }
}
