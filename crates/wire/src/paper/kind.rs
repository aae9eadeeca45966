//! What every kind of paper has.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::limits::WHOLE_MAX;
use crate::Time;

/// Something that the network signs.
pub trait Paper: Serialize + DeserializeOwned {
    /// Its name, which is part of what is signed.
    const KIND: &'static str;
    /// How long its body may be.
    const BYTES_MAX: usize;
    /// How long it may hold.
    const VALID_MAX: Duration;

    /// When it was signed.
    fn issued(&self) -> Time;

    /// From when on it no longer holds.
    fn expires(&self) -> Time;

    /// Whether its fields make sense, each alone and together.
    ///
    /// # Errors
    /// The first field that does not.
    fn check(&self) -> Result<(), Unsound>;
}

/// A field of a paper that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be {expected}")]
pub struct Unsound {
    /// Which field.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

/// Refuses unless it holds.
pub(super) fn sound(
    holds: bool,
    field: &'static str,
    expected: &'static str,
) -> Result<(), Unsound> {
    if holds { Ok(()) } else { Err(Unsound { field, expected }) }
}

/// Refuses numbers that some readers of JSON would round.
pub(super) fn whole(number: u64, field: &'static str) -> Result<(), Unsound> {
    sound(number <= WHOLE_MAX, field, "at most 2^53 - 1")
}

/// The schema of a type that is written as text.
macro_rules! text_schema {
    ($name:ident, $example:expr) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .examples([$example])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(super) use text_schema;
