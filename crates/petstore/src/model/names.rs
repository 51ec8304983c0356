//! What people are called, and the streets they live in.

use std::sync::LazyLock;

use fake::locales::{Data as _, EN};

use super::random::{Cumulative, Random};

/// Names, and how frequent each is.
struct Names {
    names: Vec<&'static str>,
    frequencies: Cumulative,
}

static FIRST: LazyLock<Names> = LazyLock::new(|| Names::read(include_str!("../../data/first_names.csv")));
static LAST: LazyLock<Names> = LazyLock::new(|| Names::read(include_str!("../../data/last_names.csv")));

impl Names {
    /// Reads lines of a name and a whole number, after a header.
    fn read(table: &'static str) -> Self {
        let line = |line: &'static str| {
            let (name, frequency) = line.split_once(',')?;
            Some((name, frequency.parse::<f64>().ok()?))
        };
        let lines = table.lines().skip(1).map(|text| line(text).expect("the tables of names are a part of this crate"));
        let (names, frequencies): (Vec<_>, Vec<_>) = lines.unzip();
        Self { names, frequencies: Cumulative::new(frequencies) }
    }

    fn draw(&self, random: &mut Random) -> &'static str {
        self.names[self.frequencies.draw(random)]
    }
}

/// Draws a first name, as frequent as in the population.
pub(super) fn first(random: &mut Random) -> &'static str {
    FIRST.draw(random)
}

/// Draws a last name, as frequent as in the population.
pub(super) fn last(random: &mut Random) -> &'static str {
    LAST.draw(random)
}

/// Draws a house number and a street, such as "482 Hickle Squares": uniformly from the lists of the `fake` crate.
pub(super) fn street(random: &mut Random) -> String {
    let mut one_of = |list: &'static [&'static str]| list[random.below(list.len())];
    let (name, kind) = (one_of(EN::NAME_LAST_NAME), one_of(EN::ADDRESS_STREET_SUFFIX));
    format!("{} {name} {kind}", 1 + random.below(2_000))
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    #[test]
    fn names_are_as_frequent_as_in_the_census() {
        let mut random = Random::new(1, Purpose::Customer, 0, 0);
        for (names, name, share) in [(&*FIRST, "James", 0.0209), (&*LAST, "Smith", 0.0202)] {
            let at = names.names.iter().position(|found| *found == name).unwrap();
            let drawn = (0..100_000).filter(|_| std::ptr::eq(names.draw(&mut random), names.names[at])).count();
            assert!((drawn as f64 / 100_000.0 - share).abs() < 0.003, "{name}: {drawn} of 100,000");
        }
    }

    #[test]
    fn names_look_like_names() {
        for names in [&FIRST.names, &LAST.names] {
            assert!(names.len() > 800);
            assert!(names.iter().all(|name| name.starts_with(|first: char| first.is_ascii_uppercase())
                && name.bytes().all(|byte| byte.is_ascii_alphabetic())));
        }
        let street = street(&mut Random::new(1, Purpose::Customer, 0, 0));
        assert_eq!(street.split(' ').count(), 3, "{street}");
    }
}
