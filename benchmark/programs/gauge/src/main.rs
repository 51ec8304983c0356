//! The tool with which the benchmarks measure programs from outside: it puts sales into Kafka, recreates topics, watches the
//! progress of a group or a store, and checks that every sale arrived. Each command prints one line of JSON.
//!
//! It reads the same variables as the programs (`KAFKA_*`, `POSTGRES_*`, `REDIS_*`) and has no options: a benchmark's
//! choices are in its script.

mod account;
mod at_least_once;
mod follow;
mod group;
mod load;
mod preload;
mod report;
mod routed;
mod stored;
mod topics;
mod truth;

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

const USAGE: &str = "\
    preload SALES PARTITIONS       recreates the topic `sales` and fills it
    clear GROUP TOPICS             recreates the topics of all states, such as sales.{}, and resets the group
    make TOPIC PARTITIONS          recreates a topic
    delete TOPIC                   deletes a topic
    load ADDRESS                   waits until the load of the loader there has ended
    account                        compares `sales` with the loaders' account and with the model
    group GROUP                    waits until the group has committed all of `sales`
    routed TOPICS                  compares the topics of all states with `sales`, record by record
    follow TOPICS SKIP SECONDS     latency from due time to a reader of committed records, after SKIP seconds
    store redis|postgres SUM       waits until the store's positions add up to SUM
    stored redis|postgres          compares what the store holds with `sales`, sale by sale
    report ADDRESS LATENCY SECONDS the latency that a program reports for the next SECONDS
    at-least-once MILLISECONDS     the fan-out without transactions, until SIGTERM";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let kafka = || service::from_env::<kafka::Config>("KAFKA_");
    let printed: Value = match arguments.as_slice() {
        ["preload", sales, partitions] => preload::run(&kafka()?, number(sales)?, number(partitions)?).await?,
        ["clear", group, topics] => topics::clear(&kafka()?, group, topics).await?,
        ["make", topic, partitions] => {
            topics::recreate(&kafka()?, &[(*topic).to_owned()], number(partitions)?).await?;
            serde_json::json!({"made": topic})
        }
        ["load", address] => load::wait(address).await?,
        ["account"] => account::compare(&kafka()?)?,
        ["delete", topic] => topics::delete(&kafka()?, &[topic]).await?,
        ["group", group] => group::wait(&kafka()?, group)?,
        ["routed", topics] => routed::compare(&kafka()?, topics)?,
        ["follow", topics, skip, seconds] => follow::run(&kafka()?, topics, number(skip)?, number(seconds)?)?,
        ["store", store, sum] => stored::wait(store, number(sum)?).await?,
        ["stored", store] => stored::compare(&kafka()?, store).await?,
        ["report", address, latency, seconds] => report::run(address, latency, number(seconds)?).await?,
        ["at-least-once", interval] => at_least_once::run(kafka()?, Duration::from_millis(number(interval)?)).await?,
        _ => bail!("one of:\n{USAGE}"),
    };
    println!("{printed}");
    Ok(())
}

fn number<T: TryFrom<u64>>(text: &str) -> anyhow::Result<T> {
    let number: u64 = text.parse().with_context(|| format!("{text:?} is not a number"))?;
    T::try_from(number).ok().with_context(|| format!("{text} is too large"))
}
