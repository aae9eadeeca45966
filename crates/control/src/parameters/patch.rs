//! JSON merge patches (RFC 7386) over the parameters, and words for what is wrong with one.
//!
//! A patch names what is there, or brings what is new whole: a name that is nowhere is refused with its path and the
//! names near it, so that nobody believes to have changed what stayed as it was.

use serde_json::{Map, Value};

use crate::record::Parameters;

/// The longest patch, in bytes: a registry of hundreds of models fits.
pub const PATCH_BYTES_MAX: usize = 64 * 1024;
/// How many changes of a patch that fails are tried one by one to find the one that is wrong: each costs as much as
/// the whole.
const CHANGES_TRIED_MAX: usize = 64;
/// How many names near an unknown one are told, and by how many letters more than the nearest they may differ.
const NEAR_MAX: usize = 3;
const NEAR_BEYOND: usize = 1;

/// These parameters with a JSON merge patch over them, if they make sense.
pub(crate) fn patched(parameters: &Parameters, patch: &str) -> Result<Parameters, String> {
    if patch.len() > PATCH_BYTES_MAX {
        return Err(format!("at most {PATCH_BYTES_MAX} bytes"));
    }
    let patch: Value = serde_json::from_str(patch).map_err(|why| why.to_string())?;
    let Value::Object(names) = &patch else {
        return Err("a JSON object of what is to change".to_owned());
    };
    let all = serde_json::to_value(parameters).expect("parameters are plain data");
    let changes = changes(&all, names, &[]);
    let removed = |change: &&Change| change.is_new && change.value.is_null();
    if let Some(change) = changes.iter().find(removed) {
        return Err(change.unknown(&all, "so it cannot be removed"));
    }
    let mut merged = all.clone();
    merge(&mut merged, patch.clone());
    let changed: Parameters =
        serde_json::from_value(merged).map_err(|why| blamed(&all, &changes, &why.to_string()))?;
    changed.check()?;
    Ok(changed)
}

/// A patch as the one text that all patches of the same meaning have: names in order, no blanks.
pub(crate) fn canonical(patch: &str) -> Result<String, String> {
    let patch: Value = serde_json::from_str(patch).map_err(|why| why.to_string())?;
    Ok(patch.to_string())
}

/// Whether a patch is about the registry and nothing else.
pub(crate) fn is_of_registry(patch: &str) -> bool {
    let patch: Value = serde_json::from_str(patch).unwrap_or_default();
    patch.as_object().is_some_and(|all| all.keys().eq(["registry"]))
}

/// RFC 7386, section 2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// One change of a patch: what becomes other at a path, or comes there.
struct Change<'a> {
    path: Vec<&'a str>,
    value: &'a Value,
    /// Whether nothing is there yet.
    is_new: bool,
}

/// The changes of a patch, in order: at a known path what is no object, and whole what is new.
fn changes<'a>(all: &Value, patch: &'a Map<String, Value>, at: &[&'a str]) -> Vec<Change<'a>> {
    let of = |(name, value): (&'a String, &'a Value)| {
        let path = [at, &[name.as_str()]].concat();
        match (all.get(name), value) {
            (Some(known @ Value::Object(_)), Value::Object(inner)) => changes(known, inner, &path),
            (known, value) => vec![Change { path, value, is_new: known.is_none() }],
        }
    };
    patch.iter().flat_map(of).collect()
}

/// What is wrong with a patch that fails, by the first of its changes that fails alone too.
fn blamed(all: &Value, changes: &[Change<'_>], whole: &str) -> String {
    let tried = changes.iter().take(CHANGES_TRIED_MAX);
    let wrong = tried.filter_map(|change| {
        let mut merged = all.clone();
        merge(&mut merged, change.alone());
        let why = serde_json::from_value::<Parameters>(merged).err()?.to_string();
        Some(if change.is_new {
            change.unknown(all, &why)
        } else {
            format!("`{}`: {why}", change.path.join("."))
        })
    });
    wrong.into_iter().next().unwrap_or_else(|| whole.to_owned())
}

impl Change<'_> {
    /// A patch of this change alone.
    fn alone(&self) -> Value {
        let inward = self.path.iter().rev();
        inward.fold(self.value.clone(), |value, name| {
            Value::Object([((*name).to_owned(), value)].into_iter().collect())
        })
    }

    /// That nothing is at its path, why that is wrong, and which names there are near it.
    fn unknown(&self, all: &Value, why: &str) -> String {
        let (name, at) = self.path.split_last().expect("a change has a name");
        let place = at.iter().try_fold(all, |place, name| place.get(name));
        let names = place.and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let mut near: Vec<(usize, &String)> =
            names.map(|known| (distance(name, known), known)).collect();
        near.sort();
        let far = near.first().map_or(0, |(nearest, _)| nearest + NEAR_BEYOND);
        let near = near.iter().take_while(|(distance, _)| *distance <= far).take(NEAR_MAX);
        let near: Vec<String> = near.map(|(_, known)| format!("`{known}`")).collect();
        // What may be there is told by the names near it, not by all of them.
        let why = if why.starts_with("unknown field") { "" } else { why };
        let why = if why.is_empty() { String::new() } else { format!(", {why}") };
        let near =
            if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
        format!("nothing is at `{}`{why}{near}", self.path.join("."))
    }
}

/// How many letters must be put in, taken out or changed to make one name of the other (Levenshtein); only the first
/// letters of a long name count.
fn distance(one: &str, other: &str) -> usize {
    const LETTERS_MAX: usize = 64;
    let letters = |name: &str| -> Vec<char> { name.chars().take(LETTERS_MAX).collect() };
    let (one, other) = (letters(one), letters(other));
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], above + 1);
        for (at, with) in other.iter().enumerate() {
            let changed = corner + usize::from(letter != with);
            corner = row[at + 1];
            row[at + 1] = changed.min(row[at] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_is_merged_as_the_standard_says() {
        let rows = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (mut target, patch, expected) in rows {
            merge(&mut target, patch.clone());
            assert_eq!(target, expected, "{patch}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_patch_is_said_with_its_path_and_what_is_near() {
        let parameters = Parameters::default();
        let rows = [
            (r#"{"fee":{}}"#, "nothing is at `fee`; near it: `fees`"),
            (
                r#"{"fees":{"renter_reservation_bp":30,"supplier_reservations_bp":30}}"#,
                "nothing is at `fees.supplier_reservations_bp`; near it: `supplier_reservation_bp`",
            ),
            (
                r#"{"registry":{"models":{"rtx-4091":{"multiplier":"2"}}}}"#,
                "nothing is at `registry.models.rtx-4091`, missing field ",
            ),
            (
                r#"{"registry":{"models":{"rtx-4091":null}}}"#,
                "nothing is at `registry.models.rtx-4091`, so it cannot be removed; near it: `rtx-409",
            ),
            (
                r#"{"stakes":{"wait_days":7},"fees":{"renter_reservation_bp":-1}}"#,
                "`fees.renter_reservation_bp`: invalid value: integer `-1`, expected u16",
            ),
            (
                r#"{"fees":{"renter_reservation_bp":null}}"#,
                "`fees.renter_reservation_bp`: missing field",
            ),
            (r#"{"exempt":["walet"]}"#, "`exempt`: "),
        ];
        for (patch, expected) in rows {
            let why = patched(&parameters, patch).unwrap_err();
            assert!(why.starts_with(expected), "{patch}: {why}");
        }
    }

    #[test]
    fn names_are_as_far_apart_as_letters_differ() {
        for (one, other, expected) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("fee", "fees", 1), ("same", "same", 0)]
        {
            assert_eq!((distance(one, other), distance(other, one)), (expected, expected));
        }
    }
}
