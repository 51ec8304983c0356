//! Numbers as people read them.

/// A whole number with its thousands apart: `12,300`.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 && text != "0" { format!("-{text}") } else { text }
}

/// A rate: whole sales, or with three digits where there are few.
pub(crate) fn rate(value: f64) -> String {
    match value {
        few if few < 9.995 => format!("{few:.2}"),
        some if some < 99.95 => format!("{some:.1}"),
        many => thousands(many),
    }
}

/// A count in four characters: `950`, `1.9k`, `23k`, `1.2M`.
pub(super) fn short(value: u64) -> String {
    let value = value as f64;
    match value {
        v if v < 1e3 => format!("{v:.0}"),
        v if v < 9.95e3 => format!("{:.1}k", v / 1e3),
        v if v < 999.5e3 => format!("{:.0}k", v / 1e3),
        v => format!("{:.1}M", v / 1e6),
    }
}

/// A share as whole percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// What may be absent is a question mark, never 0.
pub(crate) fn or_unknown(value: Option<String>) -> String {
    value.unwrap_or_else(|| "?".to_owned())
}

/// A duration in the largest two units.
pub(crate) fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
    let seconds = seconds.max(0.0).round() as u64;
    match seconds {
        s if s < 60 => format!("{s}s"),
        s if s < 3_600 => format!("{}m{:02}s", s / 60, s % 60),
        s => format!("{}h{:02}m", s / 3_600, s % 3_600 / 60),
    }
}

/// With a capital letter at its beginning.
pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Text in HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A moment as `2026-11-28 10:25 UTC`.
pub(crate) fn date(us: i64) -> String {
    let (days, seconds) = (us.div_euclid(86_400_000_000), us.div_euclid(1_000_000).rem_euclid(86_400));
    // Howard Hinnant's days to civil.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3_600, seconds % 3_600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_people_read_them() {
        assert_eq!(
            [0.0, 999.4, 1_000.0, 1_234_567.0, -5_000.0].map(thousands),
            ["0", "999", "1,000", "1,234,567", "-5,000"]
        );
        assert_eq!([0.123, 12.34, 3_456.0].map(rate), ["0.12", "12.3", "3,456"]);
        assert_eq!([7, 999, 1_900, 23_000, 1_200_000].map(short), ["7", "999", "1.9k", "23k", "1.2M"]);
        assert_eq!([5.0, 125.0, 4_980.0].map(duration), ["5s", "2m05s", "1h23m"]);
    }

    #[test]
    fn a_date_is_that_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400_000_000), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_795_861_500_000_000), "2026-11-28 10:25 UTC");
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
