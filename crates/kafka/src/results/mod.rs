//! The results of benchmarks on `kapture.results`: what a run found, its capsule, and its report as a page.
//!
//! Key: the [`RunName`]. Value: a [`RunResult`] as JSON. The topic is compacted, so a second run of a name replaces the
//! first. Only the newest [`KEPT`] stay: [`publish`] deletes the others, and so the topic can be read whole after years.

mod name;
mod publish;
mod read;

use std::fmt;
use std::io::{Read, Write};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use name::RunName;
pub use publish::publish;
pub use read::{Content, Kept, read};

/// The version of the format.
pub const VERSION: u32 = 1;
/// Results that are kept.
pub const KEPT: usize = 50;
/// The largest batch of records that the topic and its producer take: a result is a batch of its own. More than a broker
/// takes by default, since a certificate of two hours has about 1 MiB.
pub const BATCH_BYTES: usize = 2 << 20;
/// The largest key and value together. What is left is for the head of the batch and of the record, which have about 100 bytes.
pub const RECORD_BYTES: usize = BATCH_BYTES - 4_096;
/// The largest document that is unpacked: gzip can hide a thousand times its size.
const PLAIN_BYTES: u64 = 32 << 20;

/// What a run found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunResult {
    /// [`VERSION`].
    pub version: u32,
    /// `PASS`, `FAIL`, `INVALID` or `COULD_NOT_RUN`.
    pub verdict: String,
    /// The number with its spread, for people.
    pub headline: String,
    /// The sentence that decided it.
    pub reason: String,
    /// The last line of the run's log.
    pub line: String,
    /// The version of Kapture that ran it.
    pub kapture: String,
    /// When it began: unix time, microseconds.
    pub began_us: i64,
    /// When it ended.
    pub ended_us: i64,
    /// The capsule, which is JSON; none if the record would be too large with it.
    pub capsule: Option<Packed>,
    /// The report, which is a page of HTML; none if the record would be too large with it.
    pub html: Option<Packed>,
}

/// How much of a result fits into a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// All of it.
    Whole,
    /// All but the page.
    WithoutPage,
    /// Neither the page nor the capsule.
    VerdictAlone,
}

impl RunResult {
    /// The record's value, with as much as fits.
    pub fn fitted(mut self, name: &RunName) -> anyhow::Result<(Vec<u8>, Fit)> {
        for fit in [Fit::Whole, Fit::WithoutPage, Fit::VerdictAlone] {
            match fit {
                Fit::Whole => {}
                Fit::WithoutPage => self.html = None,
                Fit::VerdictAlone => self.capsule = None,
            }
            let value = serde_json::to_vec(&self).context("encoding a result")?;
            if name.as_str().len() + value.len() <= RECORD_BYTES {
                return Ok((value, fit));
            }
        }
        bail!("the result without capsule and page is larger than {RECORD_BYTES} bytes")
    }

    /// Bytes of its documents and texts.
    fn bytes(&self) -> usize {
        let documents = [&self.capsule, &self.html].into_iter().flatten().map(|packed| packed.gzip().len());
        let texts = [&self.verdict, &self.headline, &self.reason, &self.line, &self.kapture].map(String::len);
        documents.chain(texts).sum()
    }
}

/// A document, compressed with gzip; in JSON as base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// Compresses it.
    pub fn pack(text: &str) -> anyhow::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).context("compressing")?;
        Ok(Self(encoder.finish().context("compressing")?))
    }

    /// As it is.
    pub fn gzip(&self) -> &[u8] {
        &self.0
    }

    /// Decompresses it. An error if it is damaged, or larger than any document of ours.
    pub fn unpack(&self) -> anyhow::Result<Vec<u8>> {
        let mut text = Vec::new();
        GzDecoder::new(&self.0[..]).take(PLAIN_BYTES + 1).read_to_end(&mut text).context("decompressing")?;
        ensure!(text.len() as u64 <= PLAIN_BYTES, "it is larger than {} MiB", PLAIN_BYTES >> 20);
        Ok(text)
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of gzip", self.0.len())
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result whose documents have so many bytes.
    pub(super) fn result(verdict: &str, ended_us: i64, capsule: usize, html: usize) -> RunResult {
        let bytes = |n: usize| Some(Packed(vec![7; n]));
        RunResult {
            version: VERSION,
            verdict: verdict.to_owned(),
            headline: "3,000 sales/s".to_owned(),
            reason: "3,000 sales/s hold; no target was set".to_owned(),
            line: format!("verdict={verdict}"),
            kapture: "0.1.0".to_owned(),
            began_us: ended_us - 60,
            ended_us,
            capsule: bytes(capsule),
            html: bytes(html),
        }
    }

    fn fit(capsule: usize, html: usize) -> (RunResult, Fit) {
        let name = RunName::try_from("run-1".to_owned()).unwrap();
        let (value, fit) = result("PASS", 60, capsule, html).fitted(&name).unwrap();
        assert!(value.len() + name.as_str().len() <= RECORD_BYTES);
        (serde_json::from_slice(&value).unwrap(), fit)
    }

    #[test]
    fn what_is_too_large_is_kept_without_the_page_and_then_without_the_capsule() {
        let (whole, fitted) = fit(700_000, 700_000);
        assert_eq!((fitted, whole.capsule.is_some(), whole.html.is_some()), (Fit::Whole, true, true));
        let (capsule, fitted) = fit(700_000, 1_000_000);
        assert_eq!((fitted, capsule.capsule.is_some(), capsule.html.is_some()), (Fit::WithoutPage, true, false));
        let (verdict, fitted) = fit(1_700_000, 1);
        assert_eq!((fitted, verdict.capsule.is_some(), verdict.html.is_some()), (Fit::VerdictAlone, false, false));
        assert_eq!(verdict.verdict, "PASS");
    }

    #[test]
    fn a_document_survives_its_journey() {
        let text = "<h1>ü</h1>".repeat(1_000);
        let packed = Packed::pack(&text).unwrap();
        assert!(packed.gzip().len() < 200);
        let back: Packed = serde_json::from_str(&serde_json::to_string(&packed).unwrap()).unwrap();
        assert_eq!(back.unpack().unwrap(), text.as_bytes());
    }

    #[test]
    fn a_document_that_is_damaged_or_unpacks_without_end_is_an_error() {
        assert!(Packed(vec![1, 2, 3]).unpack().is_err());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let zeros = vec![0; 1 << 20];
        (0..=32).for_each(|_| encoder.write_all(&zeros).unwrap());
        let error = Packed(encoder.finish().unwrap()).unpack().unwrap_err().to_string();
        assert_eq!(error, "it is larger than 32 MiB");
        assert!(serde_json::from_str::<Packed>("\"not base64!\"").is_err());
    }
}
