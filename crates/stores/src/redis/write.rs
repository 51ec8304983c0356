//! The guarded write: one script a part, all parts in one round trip.

use anyhow::{Context, bail};
use redis::aio::MultiplexedConnection;

use super::Config;
use super::connection::Connection;
use super::script::{Answer, Call, Frame, SCRIPT};
use crate::{Error, Outcome, Part, Partition};

/// Writes sales. Several may write at once, to the same partitions even: the stored positions decide.
pub struct Writer {
    connection: Connection,
    installation: String,
    sha: String,
}

/// The script is told which sales it will find there, and refuses when it finds others: each refusal settles it,
/// unless the same sales come by another partition in that very moment.
const ROUNDS: usize = 5;

impl Writer {
    /// `installation` names the Kafka that positions count in. Connects when it is used.
    pub fn new(config: Config, installation: impl Into<String>) -> Self {
        let sha = redis::Script::new(SCRIPT).get_hash().to_owned();
        Self { connection: Connection::new(config), installation: installation.into(), sha }
    }

    /// Reads where the store is in each of `partitions`, 0 where it never was.
    pub async fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<i64>, Error> {
        let keys = self.connection.keys.clone();
        let fields: Vec<String> = partitions.iter().map(|(topic, number)| format!("{topic}:{number}")).collect();
        let read = self.connection.run("reading positions", async |open| {
            let mut pipe = redis::pipe();
            pipe.get(keys.installation());
            // A list, even of one; a hash is not asked for no fields.
            pipe.cmd("HMGET").arg(keys.positions()).arg("").arg(&fields);
            let (installation, mut next): (Option<String>, Vec<Option<i64>>) = pipe.query_async(open).await?;
            next.remove(0);
            anyhow::Ok((installation, next))
        });
        let (stored, next) = read.await?;
        match stored {
            Some(stored) if stored != self.installation => Err(self.connection.other_kafka(stored, &self.installation)),
            _ => Ok(next.into_iter().map(Option::unwrap_or_default).collect()),
        }
    }

    /// Writes each part whose `expected` is where the store is, each by itself.
    ///
    /// The outcomes are in the order of `parts`. After an error, some parts may be written: their position tells.
    pub async fn write(&mut self, parts: &[Part]) -> Result<Vec<Outcome>, Error> {
        let keys = self.connection.keys.clone();
        let ttl_seconds = self.connection.config.block_ttl.as_secs().max(1);
        let frame = Frame { keys: &keys, sha: &self.sha, installation: &self.installation, ttl_seconds };
        let written = self.connection.run("writing sales", async |open| write(open, &frame, parts).await);
        written.await?.map_err(|stored| self.connection.other_kafka(stored, &self.installation))
    }
}

/// The outcome of each part, or the installation that the store knows instead.
async fn write(
    open: &mut MultiplexedConnection,
    frame: &Frame<'_>,
    parts: &[Part],
) -> anyhow::Result<Result<Vec<Outcome>, String>> {
    let mut calls: Vec<Call<'_>> = parts.iter().map(Call::new).collect();
    let mut outcomes: Vec<Option<Outcome>> = vec![None; parts.len()];
    for _ in 0..ROUNDS {
        let left: Vec<usize> = (0..parts.len()).filter(|n| outcomes[*n].is_none()).collect();
        if left.is_empty() {
            break;
        }
        let mut pipe = redis::pipe();
        for n in &left {
            pipe.add_command(calls[*n].command(frame));
        }
        let answers: Vec<(i64, Vec<String>)> = ask(open, &pipe).await?;
        if answers.len() != left.len() {
            bail!("{} answers to {} scripts", answers.len(), left.len());
        }
        for (n, answer) in left.into_iter().zip(answers) {
            match Answer::read(answer)? {
                Answer::Written => outcomes[n] = Some(Outcome::Written { conflicts: calls[n].conflicts() }),
                Answer::Moved(actual) => outcomes[n] = Some(Outcome::Moved { actual }),
                Answer::OtherInstallation(stored) => return Ok(Err(stored)),
                Answer::Known(found) => calls[n].expect(&found),
            }
        }
    }
    let outcomes: Option<Vec<Outcome>> = outcomes.into_iter().collect();
    Ok(Ok(outcomes.context("the same sales keep coming by another partition")?))
}

/// Redis forgets scripts when it restarts; then none of the pipe was run.
async fn ask(open: &mut MultiplexedConnection, pipe: &redis::Pipeline) -> anyhow::Result<Vec<(i64, Vec<String>)>> {
    match pipe.query_async(open).await {
        Err(err) if format!("{err}").contains("NOSCRIPT") => {
            let _: String = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(open).await?;
            Ok(pipe.query_async(open).await?)
        }
        answer => Ok(answer?),
    }
}
