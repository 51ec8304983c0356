//! The guarded write: one script a part, all parts in one round trip.

use anyhow::{Context, bail};
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisResult, ServerErrorKind};

use super::connection::Connection;
use super::script::{Answer, Call, Frame, SCRIPT};
use super::{Config, glob};
use crate::{Adopt, Error, Outcome, Part, Partition, Store};

/// Writes sales. Several writers may write at once, even to the same partitions: the stored positions decide.
pub struct Writer {
    connection: Connection,
    installation: String,
    sha: String,
}

/// One round is enough unless the script has to be loaded, or some sales are there already: the script is told which sales to
/// expect, and refuses if it finds others. A second refusal needs another partition that writes the same sales at that moment.
const ROUNDS: usize = 5;

impl Writer {
    /// `installation` names the Kafka that positions count in. Connects at its first use.
    pub fn new(config: Config, installation: impl Into<String>) -> Self {
        let sha = redis::Script::new(SCRIPT).get_hash().to_owned();
        Self { connection: Connection::new(config), installation: installation.into(), sha }
    }
}

impl Store for Writer {
    fn reset(&self) -> String {
        self.connection.reset()
    }

    async fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<i64>, Error> {
        let keys = self.connection.keys.clone();
        let fields: Vec<String> = partitions.iter().map(|(topic, number)| format!("{topic}:{number}")).collect();
        let read = self.connection.run("reading positions", async |open| {
            let mut pipe = redis::pipe();
            pipe.get(keys.installation());
            // The empty field is there because the command needs at least one; and the answer is always a list.
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

    async fn write(&mut self, parts: &[Part]) -> Result<Vec<Outcome>, Error> {
        let keys = self.connection.keys.clone();
        let ttl_seconds = self.connection.config.block_ttl.get().as_secs();
        let frame = Frame { keys: &keys, sha: &self.sha, installation: &self.installation, ttl_seconds };
        let written = self.connection.run("writing sales", async |open| write(open, &frame, parts).await);
        written.await?.map_err(|stored| self.connection.other_kafka(stored, &self.installation))
    }
}

impl Adopt for Writer {
    async fn adopt(&mut self, stored: &str) -> Result<bool, Error> {
        let keys = self.connection.keys.clone();
        let mut command = redis::cmd("EVAL");
        command.arg(ADOPT).arg(3).arg(keys.positions()).arg(keys.installation()).arg(keys.earlier());
        command.arg(stored).arg(&self.installation).arg(glob::all_after(&keys.blocks()));
        command.arg(self.connection.config.block_ttl.get().as_secs());
        self.connection.run("adopting another kafka", async |open| Ok(command.query_async(open).await?)).await
    }
}

/// Its first lines describe its arguments and answers.
const ADOPT: &str = include_str!("adopt.lua");

/// The outcome of each part, or the other installation that the store belongs to.
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
        let answers: Vec<RedisResult<(i64, Vec<String>)>> = pipe.ignore_errors().query_async(open).await?;
        if answers.len() != left.len() {
            bail!("{} answers to {} scripts", answers.len(), left.len());
        }
        let mut forgotten = false;
        for (n, answer) in left.into_iter().zip(answers) {
            match answer {
                // Redis forgets scripts when it is restarted.
                Err(err) if err.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => forgotten = true,
                answer => match Answer::read(answer?)? {
                    Answer::Written => outcomes[n] = Some(Outcome::Written { conflicts: calls[n].conflicts() }),
                    Answer::Moved(actual) => outcomes[n] = Some(Outcome::Moved { actual }),
                    Answer::OtherInstallation(stored) => return Ok(Err(stored)),
                    Answer::Known(found) => calls[n].expect(&found),
                },
            }
        }
        if forgotten {
            let _: String = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(open).await?;
        }
    }
    let outcomes: Option<Vec<Outcome>> = outcomes.into_iter().collect();
    Ok(Ok(outcomes.with_context(|| format!("redis still reported unexpected sales after {ROUNDS} rounds"))?))
}
