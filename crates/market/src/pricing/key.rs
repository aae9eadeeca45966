//! What has a price of its own: a model of card, how it is connected, where it stands, and who vouches for the place.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use units::{Certification, GpuModel, Tier};

use super::region::Region;

/// What machines must have in common to share a price. In text `high/europe/hipaa+soc2/NVIDIA H100 PCIe`; a `-`
/// stands for no certification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PriceKey {
    /// The model of the card.
    pub model: GpuModel,
    /// How the machine is connected.
    pub tier: Tier,
    /// Where it stands.
    pub region: Region,
    /// Who vouches for the place.
    pub certifications: BTreeSet<Certification>,
}

/// Why a text is not a price's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is not a tier, a region, certifications and a model, as in high/europe/soc2/NVIDIA H100 PCIe"
)]
pub struct NotAPriceKey {
    /// What was given, cut to a readable length.
    pub found: String,
}

impl NotAPriceKey {
    pub(super) fn of(text: &str) -> Self {
        Self { found: text.chars().take(100).collect() }
    }
}

impl fmt::Display for PriceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certifications = joined(&self.certifications);
        write!(f, "{}/{}/{certifications}/{}", self.tier, self.region, self.model)
    }
}

/// The certifications in a row, or a dash.
pub(super) fn joined(certifications: &BTreeSet<Certification>) -> String {
    let words: Vec<&str> = certifications.iter().map(|each| each.text()).collect();
    if words.is_empty() { "-".to_owned() } else { words.join("+") }
}

impl FromStr for PriceKey {
    type Err = NotAPriceKey;

    fn from_str(text: &str) -> Result<Self, NotAPriceKey> {
        let refused = || NotAPriceKey::of(text);
        // The model comes last, for it alone may hold a slash.
        let mut parts = text.splitn(4, '/');
        let mut part = || parts.next().ok_or_else(refused);
        let tier = part()?.parse().map_err(|_| refused())?;
        let region = part()?.parse().map_err(|_| refused())?;
        let certifications = match part()? {
            "-" => BTreeSet::new(),
            words => {
                words.split('+').map(str::parse).collect::<Result<_, _>>().map_err(|_| refused())?
            }
        };
        let model = part()?.parse().map_err(|_| refused())?;
        Ok(Self { model, tier, region, certifications })
    }
}

impl TryFrom<String> for PriceKey {
    type Error = NotAPriceKey;

    fn try_from(text: String) -> Result<Self, NotAPriceKey> {
        text.parse()
    }
}

impl From<PriceKey> for String {
    fn from(key: PriceKey) -> Self {
        key.to_string()
    }
}

impl utoipa::PartialSchema for PriceKey {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .examples(["high/europe/hipaa+soc2/NVIDIA H100 PCIe"])
            .into()
    }
}

impl utoipa::ToSchema for PriceKey {}
