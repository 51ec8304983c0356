//! A fast path for bodies in the one form in which this crate writes sales: fields in their order, no white space, no escapes.
//!
//! The fan-out checks each body, and `serde_json`'s general reader took a third of its time. What is not in this form is not
//! wrong: [`SaleRef::parse`] has serde read it. What is, serde would read to the same values; tests hold the two together.

use std::borrow::Cow;
use std::str::FromStr;

use crate::sale_ref::{Checked, CustomerRef, SaleRef, StoreRef, Text};
use crate::{Pets, State};

/// Reads a sale, unless the body is in another form.
pub(crate) fn read(body: &str) -> Option<SaleRef<'_>> {
    let mut rest = Rest(body);
    let id = rest.parsed("{\"id\":\"")?;
    let time = rest.number(",\"time\":")?;
    let store = StoreRef {
        id: rest.number(",\"store\":{\"id\":")?,
        name: rest.text(",\"name\":\"")?,
        state: rest.state(",\"state\":\"")?,
        city: rest.text(",\"city\":\"")?,
        zip: rest.text(",\"zip\":\"")?,
    };
    let customer = CustomerRef {
        id: rest.number("},\"customer\":{\"id\":")?,
        first: rest.text(",\"first\":\"")?,
        last: rest.text(",\"last\":\"")?,
        street: rest.text(",\"street\":\"")?,
        state: rest.state(",\"state\":\"")?,
        city: rest.text(",\"city\":\"")?,
        zip: rest.text(",\"zip\":\"")?,
        pets: Pets { dogs: rest.number(",\"pets\":{\"dogs\":")?, cats: rest.number(",\"cats\":")? },
    };
    rest.skip("}},\"items\":[")?;
    let items = rest.items()?;
    let cents = rest.number("],\"cents\":")?;
    rest.skip("}")?;
    rest.0.is_empty().then_some(SaleRef { id, time, store, customer, items, cents })
}

/// What is left to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, name: &'static str) -> Option<()> {
        self.0 = self.0.strip_prefix(name)?;
        Some(())
    }

    /// A text, from its opening quote, which is the last of `name`, to its closing one.
    fn str(&mut self, name: &'static str) -> Option<&'a str> {
        self.skip(name)?;
        let end = self.0.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix('"')?;
        Some(text)
    }

    fn text(&mut self, name: &'static str) -> Option<Text<'a>> {
        Some(Text(Cow::Borrowed(self.str(name)?)))
    }

    fn parsed<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.str(name)?.parse().ok()
    }

    /// Bodies have a state in lower case only.
    fn state(&mut self, name: &'static str) -> Option<State> {
        let code = self.str(name)?;
        code.parse().ok().filter(|state: &State| state.code() == code)
    }

    /// A number without leading zeros, a sign or a fraction. What follows it is checked as the next name.
    fn number<N: TryFrom<u64>>(&mut self, name: &'static str) -> Option<N> {
        self.skip(name)?;
        let mut number = 0_u64;
        let mut digits = 0;
        for byte in self.0.bytes().take_while(u8::is_ascii_digit) {
            number = number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
            digits += 1;
        }
        if digits == 0 || (digits > 1 && self.0.starts_with('0')) {
            return None;
        }
        self.0 = &self.0[digits..];
        number.try_into().ok()
    }

    /// One item at least.
    fn items(&mut self) -> Option<Checked> {
        let mut count = 0;
        loop {
            self.str("{\"category\":\"")?;
            self.str(",\"brand\":\"")?;
            self.str(",\"flavor\":\"")?;
            self.str(",\"size\":\"")?;
            self.number::<u32>(",\"cents\":")?;
            self.skip("}")?;
            count += 1;
            if self.skip(",").is_none() {
                return Some(Checked { count });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::{BlockId, Parameters, Petstore};

    static BODIES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let petstore = Petstore::new(Parameters { days: 30, ..Parameters::default() }).unwrap();
        let sales = (0..4).flat_map(|block| petstore.block(BlockId { run: u32::MAX, loader: 3, block }).to_sales());
        sales.map(|sale| serde_json::to_string(&sale).unwrap()).collect()
    });

    fn by_serde(body: &str) -> Option<SaleRef<'_>> {
        serde_json::from_str(body).ok()
    }

    #[test]
    fn every_generated_sale_takes_the_fast_path_to_the_same_values() {
        assert!(BODIES.len() > 1_000);
        for body in BODIES.iter() {
            let read = read(body);
            assert!(read.is_some(), "{body}");
            assert_eq!(read, by_serde(body));
        }
    }

    /// Each byte of a sale replaced by each that matters in JSON, removed, and doubled.
    #[test]
    fn whatever_it_reads_serde_reads_alike() {
        let body = &BODIES[5];
        let mut taken = 0;
        let mut check = |changed: String| {
            if let Some(read) = read(&changed) {
                assert_eq!(Some(read), by_serde(&changed), "{changed}");
                taken += 1;
            }
        };
        for at in (0..body.len()).filter(|at| body.is_char_boundary(*at) && body.is_char_boundary(at + 1)) {
            let (before, from, after) = (&body[..at], &body[at..=at], &body[at + 1..]);
            check(format!("{before}{after}"));
            check(format!("{before}{from}{from}{after}"));
            for byte in "\"\\{}[],:0a9A-.e+ \n\u{0}\u{7f}é".chars() {
                check(format!("{before}{byte}{after}"));
            }
        }
        assert!(taken > 1_000, "{taken} changes made another sale in the same form");
    }

    /// The sale with another value of a field: what is from its name to the next of `ends`.
    fn with(field: &str, ends: &[char], value: &str) -> String {
        let body = &BODIES[0];
        let at = body.find(field).unwrap() + field.len();
        let old = body[at..].find(ends).unwrap();
        format!("{}{value}{}", &body[..at], &body[at + old..])
    }

    proptest! {
        #[test]
        fn numbers_and_texts_of_any_kind_are_read_alike(number in "[0-9]{1,21}|-?[0-9]{1,3}(\\.[0-9])?(e[0-9])?", text in ".{0,12}") {
            let numbers = ["\"time\":", "\"dogs\":", "\"cents\":", "\"id\":"].map(|field| with(field, &[',', '}'], &number));
            let texts = ["\"name\":\"", "\"state\":\"", "\"id\":\"", "\"flavor\":\""].map(|field| with(field, &['"'], &text));
            for changed in numbers.iter().chain(&texts) {
                prop_assert!(read(changed).is_none_or(|sale| Some(sale) == by_serde(changed)), "{}", changed);
            }
        }
    }
}
