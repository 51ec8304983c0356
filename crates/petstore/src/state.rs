//! The states, and how many people live in each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Makes the enum and its table from one list, so that they can't disagree.
macro_rules! states {
    ($($variant:ident $code:literal $name:literal $population:literal;)*) => {
        /// A state of the US, or the District of Columbia. Its text and its JSON are the code in lower case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum State {
            $(#[doc = $name] $variant,)*
        }

        impl State {
            /// All states, in the order of their names.
            pub const ALL: [Self; 51] = [$(Self::$variant),*];

            const CODES: [&str; 51] = [$($code),*];
            const NAMES: [&str; 51] = [$($name),*];
            const POPULATIONS: [u32; 51] = [$($population),*];
        }
    };
}

// Resident population on 1 April 2020: U.S. Census Bureau, 2020 Census, apportionment table 2. Public domain.
states! {
    Al "al" "Alabama" 5_024_279;
    Ak "ak" "Alaska" 733_391;
    Az "az" "Arizona" 7_151_502;
    Ar "ar" "Arkansas" 3_011_524;
    Ca "ca" "California" 39_538_223;
    Co "co" "Colorado" 5_773_714;
    Ct "ct" "Connecticut" 3_605_944;
    De "de" "Delaware" 989_948;
    Dc "dc" "District of Columbia" 689_545;
    Fl "fl" "Florida" 21_538_187;
    Ga "ga" "Georgia" 10_711_908;
    Hi "hi" "Hawaii" 1_455_271;
    Id "id" "Idaho" 1_839_106;
    Il "il" "Illinois" 12_812_508;
    In "in" "Indiana" 6_785_528;
    Ia "ia" "Iowa" 3_190_369;
    Ks "ks" "Kansas" 2_937_880;
    Ky "ky" "Kentucky" 4_505_836;
    La "la" "Louisiana" 4_657_757;
    Me "me" "Maine" 1_362_359;
    Md "md" "Maryland" 6_177_224;
    Ma "ma" "Massachusetts" 7_029_917;
    Mi "mi" "Michigan" 10_077_331;
    Mn "mn" "Minnesota" 5_706_494;
    Ms "ms" "Mississippi" 2_961_279;
    Mo "mo" "Missouri" 6_154_913;
    Mt "mt" "Montana" 1_084_225;
    Ne "ne" "Nebraska" 1_961_504;
    Nv "nv" "Nevada" 3_104_614;
    Nh "nh" "New Hampshire" 1_377_529;
    Nj "nj" "New Jersey" 9_288_994;
    Nm "nm" "New Mexico" 2_117_522;
    Ny "ny" "New York" 20_201_249;
    Nc "nc" "North Carolina" 10_439_388;
    Nd "nd" "North Dakota" 779_094;
    Oh "oh" "Ohio" 11_799_448;
    Ok "ok" "Oklahoma" 3_959_353;
    Or "or" "Oregon" 4_237_256;
    Pa "pa" "Pennsylvania" 13_002_700;
    Ri "ri" "Rhode Island" 1_097_379;
    Sc "sc" "South Carolina" 5_118_425;
    Sd "sd" "South Dakota" 886_667;
    Tn "tn" "Tennessee" 6_910_840;
    Tx "tx" "Texas" 29_145_505;
    Ut "ut" "Utah" 3_271_616;
    Vt "vt" "Vermont" 643_077;
    Va "va" "Virginia" 8_631_393;
    Wa "wa" "Washington" 7_705_281;
    Wv "wv" "West Virginia" 1_793_716;
    Wi "wi" "Wisconsin" 5_893_718;
    Wy "wy" "Wyoming" 576_851;
}

impl State {
    /// Returns the postal code in lower case, such as "ca": the last part of the state's topic.
    #[must_use]
    pub const fn code(self) -> &'static str {
        Self::CODES[self.index()]
    }

    /// Returns the name, such as "California".
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// Returns the position in [`State::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the resident population in the census of 2020.
    #[must_use]
    pub const fn population(self) -> u32 {
        Self::POPULATIONS[self.index()]
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A text that is not the code of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state: use one of the 51 postal codes, such as \"ca\"")]
pub struct ParseStateError(String);

impl FromStr for State {
    type Err = ParseStateError;

    /// Parses a code in lower or upper case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // By a table, because this is done for every sale at every stage.
        let found = if let [first, second] = text.as_bytes() { BY_CODE.get(place(*first, *second)) } else { None };
        found.copied().flatten().ok_or_else(|| ParseStateError(text.chars().take(80).collect()))
    }
}

/// The state of each two letters.
const BY_CODE: [Option<State>; 26 * 26] = {
    let mut by_code = [None; 26 * 26];
    let mut index = 0;
    while index < State::ALL.len() {
        let code = State::CODES[index].as_bytes();
        by_code[place(code[0], code[1])] = Some(State::ALL[index]);
        index += 1;
    }
    by_code
};

/// The index of two letters in the table; beyond its end if they are not letters.
const fn place(first: u8, second: u8) -> usize {
    if first.is_ascii_alphabetic() && second.is_ascii_alphabetic() {
        (first.to_ascii_lowercase() - b'a') as usize * 26 + (second.to_ascii_lowercase() - b'a') as usize
    } else {
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_by_its_code_in_either_case() {
        for (index, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state.index(), index);
            assert_eq!(state.code().parse(), Ok(state));
            assert_eq!(state.code().to_uppercase().parse(), Ok(state));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
            assert_eq!(serde_json::from_str::<State>(&format!("\"{state}\"")).unwrap(), state);
        }
    }

    #[test]
    fn what_is_no_state_is_named() {
        for text in ["", "c", "cal", "pr", "ca ", "sales.ca"] {
            assert!(text.parse::<State>().unwrap_err().to_string().contains(&format!("{text:?}")));
        }
        // A body has one spelling only: another one was not written by this crate.
        assert!(serde_json::from_str::<State>("\"CA\"").is_err());
    }

    #[test]
    fn populations_add_up_to_the_country() {
        assert_eq!(State::ALL.iter().map(|state| state.population()).sum::<u32>(), 331_449_281);
        assert_eq!((State::Ca.name(), State::Ca.population()), ("California", 39_538_223));
    }
}
