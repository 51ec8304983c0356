//! What is printed: a line a stage, and the result in the last line.

use std::fmt::Write as _;

use super::{Outcome, Settings};

/// The whole outcome.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) status: Status,
    pub(crate) name: &'static str,
    pub(crate) text: String,
    /// The object whose log tells more, such as `deploy/kapture-auditor`.
    pub(crate) look_at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    Fail,
    Skip,
}

impl Row {
    pub(crate) fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { status: Status::Ok, name, text: text.into(), look_at: None }
    }

    pub(crate) fn skip(name: &'static str, text: impl Into<String>) -> Self {
        Self { status: Status::Skip, ..Self::ok(name, text) }
    }

    pub(crate) fn fail(name: &'static str, text: impl Into<String>, look_at: impl Into<String>) -> Self {
        Self { status: Status::Fail, look_at: Some(look_at.into()), ..Self::ok(name, text) }
    }
}

impl Table {
    pub(crate) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// A line that is neither right nor wrong.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Those of `names` whose row is ok.
    pub(crate) fn right_of<const N: usize>(&self, names: [&'static str; N]) -> Vec<&'static str> {
        let right = |name: &&str| self.rows.iter().any(|row| row.name == *name && row.status == Status::Ok);
        names.into_iter().filter(right).collect()
    }

    /// All lines, and whether all is well. `of`: what was judged.
    pub(crate) fn print(&self, Settings { release, namespace, .. }: &Settings, of: &str) -> Outcome {
        let mut text = format!("kapture test  every-sale-arrives   release {release}/{namespace}");
        if !of.is_empty() {
            let _ = write!(text, "   {of}");
        }
        text.push('\n');
        for Row { status, name, text: what, look_at } in &self.rows {
            let _ = write!(text, "  {:<4}  {name:<8}   {what}", status.name());
            if let Some(object) = look_at {
                let _ = write!(text, "   look at: kubectl -n {namespace} logs {object}");
            }
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {note}");
        }
        let count = |status| self.rows.iter().filter(|row| row.status == status).count();
        let (failed, right) = (count(Status::Fail), count(Status::Ok));
        let well = failed == 0 && right > 0;
        let _ = if well {
            writeln!(text, "ok: all {right} checks. Checked from seed, not from counters.")
        } else {
            writeln!(text, "not ok: {failed} of {} checks. Checked from seed, not from counters.", failed + right)
        };
        Outcome { text, well }
    }
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_the_failure_and_ends_with_the_result() {
        let mut table = Table::default();
        table.row(Row::ok("accepted", "3,000 of 3,000"));
        table.row(Row::skip("cached", "redis.enabled=true turns it on"));
        table.row(Row::fail("stored", "2,997 of 3,000 in Postgres, 3 missing", "deploy/kapture-etl-postgres"));
        table.note("p99 due to stored 212 ms (not a measurement of capacity)");
        let Outcome { text, well } = table.print(&Settings::example(), "30 s at 100/s");
        let expected = "\
kapture test  every-sale-arrives   release 2024/perf-test   30 s at 100/s
  ok    accepted   3,000 of 3,000
  skip  cached     redis.enabled=true turns it on
  FAIL  stored     2,997 of 3,000 in Postgres, 3 missing   look at: kubectl -n perf-test logs deploy/kapture-etl-postgres
  p99 due to stored 212 ms (not a measurement of capacity)
not ok: 1 of 2 checks. Checked from seed, not from counters.
";
        assert_eq!((text.as_str(), well), (expected, false));
    }

    #[test]
    fn nothing_checked_is_not_ok() {
        assert!(!Table::default().print(&Settings::example(), "").well);
    }
}
