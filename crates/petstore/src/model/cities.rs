//! The cities of a state in which a store can be.

use crate::State;

/// A city that can have stores.
#[derive(Debug)]
pub(super) struct City {
    pub(super) name: &'static str,
    /// The first three digits of its zip codes (the city's sectional centre).
    pub(super) zip_prefix: &'static str,
    /// How many thousand people live there, rounded: only the proportions within a state matter.
    pub(super) thousands: u32,
}

/// Makes one exhaustive `match`: a state without a city doesn't compile.
macro_rules! cities {
    ($($state:ident: $($name:literal $zip_prefix:literal $thousands:literal),+;)*) => {
        /// Returns the cities of a state: a few of its largest, the same for everybody.
        pub(super) fn cities(state: State) -> &'static [City] {
            match state {
                $(State::$state => &[
                    $(City { name: $name, zip_prefix: $zip_prefix, thousands: $thousands }),+
                ],)*
            }
        }
    };
}

// Populations are after the 2020 Census; New York City is there by borough.
cities! {
    Al: "Huntsville" "358" 215, "Birmingham" "352" 201, "Montgomery" "361" 201, "Mobile" "366" 187;
    Ak: "Anchorage" "995" 291, "Fairbanks" "997" 33, "Juneau" "998" 32;
    Az: "Phoenix" "850" 1608, "Tucson" "857" 543, "Mesa" "852" 504, "Flagstaff" "860" 77;
    Ar: "Little Rock" "722" 203, "Fayetteville" "727" 94, "Fort Smith" "729" 89, "Jonesboro" "724" 79;
    Ca: "Los Angeles" "900" 3899, "San Diego" "921" 1387, "San Jose" "951" 1013, "San Francisco" "941" 874,
        "Fresno" "937" 542, "Sacramento" "958" 525;
    Co: "Denver" "802" 716, "Colorado Springs" "809" 479, "Aurora" "800" 386, "Fort Collins" "805" 170;
    Ct: "Bridgeport" "066" 149, "Stamford" "069" 135, "New Haven" "065" 134, "Hartford" "061" 121;
    De: "Wilmington" "198" 71, "Dover" "199" 39, "Newark" "197" 31;
    Dc: "Washington" "200" 690;
    Fl: "Jacksonville" "322" 950, "Miami" "331" 442, "Tampa" "336" 385, "Orlando" "328" 308, "Tallahassee" "323" 196;
    Ga: "Atlanta" "303" 499, "Columbus" "319" 207, "Augusta" "309" 202, "Macon" "312" 157, "Savannah" "314" 148;
    Hi: "Honolulu" "968" 351, "Hilo" "967" 44, "Kailua" "967" 41;
    Id: "Boise" "837" 236, "Meridian" "836" 118, "Idaho Falls" "834" 65, "Pocatello" "832" 56;
    Il: "Chicago" "606" 2746, "Aurora" "605" 181, "Rockford" "611" 149, "Springfield" "627" 114, "Peoria" "616" 113;
    In: "Indianapolis" "462" 888, "Fort Wayne" "468" 264, "Evansville" "477" 117, "South Bend" "466" 103;
    Ia: "Des Moines" "503" 214, "Cedar Rapids" "524" 138, "Davenport" "528" 102, "Sioux City" "511" 86;
    Ks: "Wichita" "672" 398, "Overland Park" "662" 197, "Kansas City" "661" 157, "Topeka" "666" 127;
    Ky: "Louisville" "402" 633, "Lexington" "405" 323, "Bowling Green" "421" 72, "Owensboro" "423" 60;
    La: "New Orleans" "701" 384, "Baton Rouge" "708" 227, "Shreveport" "711" 188, "Lafayette" "705" 121;
    Me: "Portland" "041" 68, "Lewiston" "042" 37, "Bangor" "044" 32;
    Md: "Baltimore" "212" 586, "Frederick" "217" 78, "Rockville" "208" 67, "Annapolis" "214" 41;
    Ma: "Boston" "021" 676, "Worcester" "016" 207, "Springfield" "011" 156, "Lowell" "018" 116;
    Mi: "Detroit" "482" 639, "Grand Rapids" "495" 199, "Ann Arbor" "481" 124, "Lansing" "489" 113;
    Mn: "Minneapolis" "554" 430, "Saint Paul" "551" 312, "Rochester" "559" 121, "Duluth" "558" 87;
    Ms: "Jackson" "392" 154, "Gulfport" "395" 73, "Southaven" "386" 55, "Hattiesburg" "394" 49;
    Mo: "Kansas City" "641" 508, "St. Louis" "631" 302, "Springfield" "658" 169, "Columbia" "652" 126;
    Mt: "Billings" "591" 117, "Missoula" "598" 73, "Great Falls" "594" 60, "Bozeman" "597" 53;
    Ne: "Omaha" "681" 486, "Lincoln" "685" 291, "Grand Island" "688" 53;
    Nv: "Las Vegas" "891" 642, "Henderson" "890" 318, "Reno" "895" 264;
    Nh: "Manchester" "031" 116, "Nashua" "030" 91, "Concord" "033" 44;
    Nj: "Newark" "071" 312, "Jersey City" "073" 292, "Paterson" "075" 160, "Trenton" "086" 91;
    Nm: "Albuquerque" "871" 565, "Las Cruces" "880" 111, "Santa Fe" "875" 88;
    Ny: "Brooklyn" "112" 2736, "Flushing" "113" 2405, "New York" "100" 1694, "Bronx" "104" 1473,
        "Staten Island" "103" 496, "Buffalo" "142" 278, "Rochester" "146" 211, "Syracuse" "132" 149, "Albany" "122" 99;
    Nc: "Charlotte" "282" 875, "Raleigh" "276" 468, "Greensboro" "274" 299, "Durham" "277" 284, "Asheville" "288" 95;
    Nd: "Fargo" "581" 126, "Bismarck" "585" 74, "Grand Forks" "582" 59;
    Oh: "Columbus" "432" 906, "Cleveland" "441" 373, "Cincinnati" "452" 309, "Toledo" "436" 271, "Dayton" "454" 138;
    Ok: "Oklahoma City" "731" 681, "Tulsa" "741" 413, "Norman" "730" 128, "Lawton" "735" 90;
    Or: "Portland" "972" 653, "Eugene" "974" 177, "Salem" "973" 176, "Bend" "977" 99;
    Pa: "Philadelphia" "191" 1604, "Pittsburgh" "152" 303, "Allentown" "181" 126, "Erie" "165" 95,
        "Harrisburg" "171" 50;
    Ri: "Providence" "029" 191, "Warwick" "028" 83;
    Sc: "Charleston" "294" 150, "Columbia" "292" 137, "Rock Hill" "297" 74, "Greenville" "296" 71;
    Sd: "Sioux Falls" "571" 193, "Rapid City" "577" 75;
    Tn: "Nashville" "372" 689, "Memphis" "381" 633, "Knoxville" "379" 191, "Chattanooga" "374" 181;
    Tx: "Houston" "770" 2305, "San Antonio" "782" 1435, "Dallas" "752" 1304, "Austin" "787" 962,
        "Fort Worth" "761" 919, "El Paso" "799" 679;
    Ut: "Salt Lake City" "841" 200, "Provo" "846" 115, "St. George" "847" 95, "Ogden" "844" 87;
    Vt: "Burlington" "054" 45, "Rutland" "057" 16, "Montpelier" "056" 8;
    Va: "Virginia Beach" "234" 459, "Arlington" "222" 239, "Norfolk" "235" 238, "Richmond" "232" 227,
        "Roanoke" "240" 100;
    Wa: "Seattle" "981" 737, "Spokane" "992" 229, "Tacoma" "984" 219, "Vancouver" "986" 191;
    Wv: "Charleston" "253" 49, "Huntington" "257" 47, "Morgantown" "265" 30;
    Wi: "Milwaukee" "532" 577, "Madison" "537" 270, "Green Bay" "543" 107, "Eau Claire" "547" 69;
    Wy: "Cheyenne" "820" 65, "Casper" "826" 59, "Laramie" "820" 32;
}
