//! Lists of things that are never forgotten, read from their rows: newest first, the cursor is the id of the last.

use serde::de::DeserializeOwned;
use units::AccountId;
use wire::Page;

use super::extract::{PageQuery, items};
use super::problem::Refused;
use super::rentals::view;
use crate::app::Shared;
use crate::views::side_id;

/// Whose rows are listed.
#[derive(Clone, Debug)]
pub(super) enum Whose {
    /// Everyone's, of a kind that has one row for each thing.
    Everyones,
    /// What one account sees, of a kind that has a row for each side.
    Side(AccountId),
}

impl Whose {
    /// What follows the id of a thing in the id of its row.
    fn suffix(&self) -> String {
        match self {
            Self::Everyones => String::new(),
            Self::Side(account) => side_id(&"", *account),
        }
    }

    fn owner(&self) -> Option<String> {
        match self {
            Self::Everyones => None,
            Self::Side(account) => Some(account.to_string()),
        }
    }
}

/// One thing as its row has it.
pub(super) async fn row<T: DeserializeOwned>(
    app: &Shared,
    kind: &'static str,
    id: String,
) -> Result<Option<T>, Refused> {
    let row = app.read(move |reader| reader.row(kind, &id)).await?;
    Ok(row.as_deref().and_then(view))
}

/// A page of what somebody may see.
pub(super) async fn page<T: DeserializeOwned>(
    app: &Shared,
    kind: &'static str,
    whose: Whose,
    query: PageQuery,
) -> Result<Page<T>, Refused> {
    let (limit, suffix) = (items(query.limit), whose.suffix());
    let past = query.cursor.map(|cursor| format!("{cursor}{suffix}"));
    let owner = whose.owner();
    let rows = app
        .read(move |reader| {
            reader.rows(kind, owner.as_deref(), past.as_deref(), true, limit.saturating_add(1))
        })
        .await?;
    let last = if rows.len() > limit { rows.get(limit - 1) } else { None };
    let next = last.map(|(id, _)| id.strip_suffix(&suffix).unwrap_or(id).to_owned());
    let items = rows.iter().take(limit).filter_map(|(_, body)| view(body)).collect();
    Ok(Page { items, next })
}
