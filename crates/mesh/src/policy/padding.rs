//! What grants say about cover: the capability `iog/cap/padding`, whose values name a level.
//!
//! A level above 0 is the least that hides what the two ends say to each other, whatever they say. Level 0 is for what
//! only the grant's own connections carry: bulk, which leaves bare although the two hide the rest.

use super::compile::Rule;
use super::hujson::{self, Node, Value};
use crate::cover::Cover;

/// The capability's name.
pub const PADDING: &str = "iog/cap/padding";

pub(super) const EXPECTED: &str = "a table with a `level` of padding, from 0 to 3";

/// The level that a value of the capability names.
pub(super) fn level(value: &Node) -> Option<Cover> {
    let Value::Table(fields) = &value.value else { return None };
    let (_, _, level) = fields.iter().find(|(_, name, _)| name == "level")?;
    let Value::Word(word) = &level.value else { return None };
    Cover::try_from(word.parse::<u8>().ok()?).ok()
}

impl Rule {
    /// What its grant says about cover, if anything: of several levels, the highest.
    pub fn cover(&self) -> Option<Cover> {
        let values = self.app.get(PADDING)?;
        values.iter().filter_map(|value| level(&hujson::read(value).ok()?)).max()
    }
}
