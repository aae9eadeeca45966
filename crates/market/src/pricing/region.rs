//! Where a machine stands, as coarsely as a price needs it: six continents and the rest, so that the number of prices
//! stays small and each has a market behind it.

use std::fmt;
use std::str::FromStr;

use units::Country;

use super::key::NotAPriceKey;

/// A group of countries that share a price.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// Africa.
    Africa,
    /// Asia, Turkey and the Middle East among it.
    Asia,
    /// Whatever no other group lists.
    Elsewhere,
    /// Europe, Russia among it.
    Europe,
    /// North and Central America and the Caribbean.
    NorthAmerica,
    /// Australia, New Zealand and the Pacific.
    Oceania,
    /// South America.
    SouthAmerica,
}

/// The countries of each region, by their two letters of ISO 3166-1.
const COUNTRIES: [(Region, &str); 6] = [
    (
        Region::Africa,
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ \
         NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW",
    ),
    (
        Region::Asia,
        "AE AF AM AZ BD BH BN BT CN CY GE HK ID IL IN IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM \
         PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE",
    ),
    (
        Region::Europe,
        "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME \
         MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    ),
    (
        Region::NorthAmerica,
        "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX \
         TC TT US VC VG VI",
    ),
    (
        Region::Oceania,
        "AS AU CC CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS",
    ),
    (Region::SouthAmerica, "AR BO BR CL CO EC FK GF GY PE PY SR UY VE"),
];

impl Region {
    /// Every region.
    pub const ALL: &'static [Self] = &[
        Self::Africa,
        Self::Asia,
        Self::Elsewhere,
        Self::Europe,
        Self::NorthAmerica,
        Self::Oceania,
        Self::SouthAmerica,
    ];

    /// The region that a country belongs to.
    pub fn of(country: Country) -> Self {
        let letters = country.to_string();
        let lists = |list: &str| list.split(' ').any(|listed| listed == letters);
        COUNTRIES
            .iter()
            .find(|(_, list)| lists(list))
            .map_or(Self::Elsewhere, |(region, _)| *region)
    }

    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Africa => "africa",
            Self::Asia => "asia",
            Self::Elsewhere => "elsewhere",
            Self::Europe => "europe",
            Self::NorthAmerica => "north-america",
            Self::Oceania => "oceania",
            Self::SouthAmerica => "south-america",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl FromStr for Region {
    type Err = NotAPriceKey;

    fn from_str(text: &str) -> Result<Self, NotAPriceKey> {
        let found = Self::ALL.iter().copied().find(|region| region.text() == text);
        found.ok_or_else(|| NotAPriceKey::of(text))
    }
}
