//! Moments, as text.

use std::fmt;

use units::Timestamp;

/// A moment, written as RFC 3339 in UTC with milliseconds: `2026-11-22T16:10:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0.millis()).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(moment) => write!(f, "{moment:.3}"),
            // Beyond the year 9999 there is no RFC 3339.
            Err(_) => f.write_str("9999-12-31T23:59:59.999Z"),
        }
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
        let moment: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        let millis = u64::try_from(moment.as_millisecond());
        let millis = millis.map_err(|_| D::Error::custom("a moment before 1970"))?;
        Ok(Self(Timestamp::from_millis(millis)))
    }
}

impl utoipa::PartialSchema for Time {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2026-11-22T16:10:00.000Z"])
            .into()
    }
}

impl utoipa::ToSchema for Time {}
