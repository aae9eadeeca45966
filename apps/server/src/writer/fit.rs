//! What one commit holds: everything that comes together is cut so that the journal takes it.
//!
//! # Invariants
//! - No part of a commit passes the limits of the journal, however much falls due at once: a commit that is refused for
//!   its size would be tried again without end.

use crate::journal::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};
use crate::journal::{Event, Row};
use crate::views;

/// Rows of one commit: half of what the journal takes at once.
const ROWS_TOGETHER_MAX: usize = BATCH_ROWS_MAX / 2;
/// Bytes of the rows of one commit: half of what the journal takes at once.
const ROWS_BYTES_MAX: usize = BATCH_BYTES_MAX / 2;
/// Bytes of entries and rows after which a commit takes no more commands. One command makes at most some tens of
/// mebibytes of rows: a slash full of words, for each of those it takes from.
pub(super) const COMMIT_BYTES: usize = BATCH_BYTES_MAX / 8;
/// What a row or an event that is written at the end of a round is reckoned with before: most are smaller.
pub(super) const EFFECT_BYTES: usize = 1 << 10;
/// Bytes of a commit's events that say how things are now; those beyond say only what changed.
const EVENTS_BYTES_MAX: usize = BATCH_BYTES_MAX / 8;

/// Takes out what does not fit into one commit, to be stored ahead of it: rows of machines in a large block, which are
/// found by the block's own row alone; and, where only the clock was told, all but that row. After a crash between the
/// two the same is due again before anything else is told, and its rows are written over themselves.
pub(super) fn rows_ahead(rows: &mut Vec<Row>, of_clock: bool) -> Vec<Row> {
    let bytes: usize = rows.iter().map(bytes_of).sum();
    if rows.len() <= ROWS_TOGETHER_MAX && bytes <= ROWS_BYTES_MAX {
        return Vec::new();
    }
    let may = |row: &Row| match row.kind {
        views::REWARD_ROWS => true,
        views::BLOCK_ROWS => false,
        _ => of_clock,
    };
    let (ahead, rest) = std::mem::take(rows).into_iter().partition(may);
    *rows = rest;
    ahead
}

/// Rows in their order, in parts that one commit takes each.
pub(super) fn together(mut rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rows.iter().take(ROWS_TOGETHER_MAX).take_while(|row| {
            bytes += bytes_of(row);
            bytes <= ROWS_BYTES_MAX
        });
        // One row is far smaller than what fits: the journal says how large at most.
        let (part, rest) = rows.split_at(fits.count().max(1).min(rows.len()));
        rows = rest;
        Some(part).filter(|part| !part.is_empty())
    })
}

pub(super) fn bytes_of(row: &Row) -> usize {
    row.body.as_ref().map_or(0, Vec::len)
}

/// Makes events fit into one commit: of more than the journal keeps, the newest; and those beyond so many bytes say
/// only what changed, for it can be looked up.
pub(super) fn shorten(events: &mut Vec<Event>) {
    events.drain(..events.len().saturating_sub(BATCH_ROWS_MAX));
    let mut bytes = 0;
    for event in events {
        bytes += event.body.len();
        if bytes > EVENTS_BYTES_MAX {
            event.body = views::without_view(&event.body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::limits::BODY_BYTES_MAX;

    /// As long as the longest slash: nearly half of what a body may have.
    const LONG: usize = BODY_BYTES_MAX / 2 - 1_000;

    fn row(kind: &'static str, number: usize, bytes: usize) -> Row {
        let (id, owner) = (format!("{number:06}"), views::NETWORK.to_owned());
        Row { kind, id, owner, body: Some(vec![b' '; bytes]) }
    }

    fn event(part: u32, bytes: usize) -> Event {
        let words = "x".repeat(bytes);
        let body = format!(r#"{{"kind":"slash","id":"sla_1","view":{{"text":"{words}"}}}}"#);
        Event { seq: 1, part, owner: String::new(), body: body.into_bytes() }
    }

    fn size(rows: &[Row]) -> usize {
        rows.iter().map(bytes_of).sum()
    }

    #[test]
    fn long_slashes_that_all_fall_due_at_once_are_stored_in_commits_that_fit() {
        let all: Vec<Row> = (0..150).map(|number| row(views::SLASH_ROWS, number, LONG)).collect();
        assert!(size(&all) > BATCH_BYTES_MAX);
        let mut rows = all.clone();
        rows.push(row(views::BLOCK_ROWS, 0, 100));
        let ahead = rows_ahead(&mut rows, true);
        assert_eq!(rows, [row(views::BLOCK_ROWS, 0, 100)], "what makes a block found comes last");
        let parts: Vec<&[Row]> = together(&ahead).collect();
        assert!(parts.iter().all(|part| size(part) <= ROWS_BYTES_MAX && !part.is_empty()));
        assert_eq!(parts.concat(), all);
    }

    #[test]
    fn what_somebody_told_is_stored_with_its_entry() {
        let mut rows: Vec<Row> = (0..80).map(|at| row(views::SLASH_ROWS, at, LONG)).collect();
        rows.push(row(views::REWARD_ROWS, 0, 100));
        let ahead = rows_ahead(&mut rows, false);
        assert_eq!((ahead.len(), rows.len()), (1, 80));
        let mut few = vec![row(views::REWARD_ROWS, 0, 100)];
        assert!(rows_ahead(&mut few, true).is_empty(), "little is one commit");
    }

    #[test]
    fn many_small_rows_are_parted_by_their_number() {
        let rows: Vec<Row> =
            (0..=ROWS_TOGETHER_MAX).map(|at| row(views::REWARD_ROWS, at, 1)).collect();
        let parts: Vec<usize> = together(&rows).map(<[Row]>::len).collect();
        assert_eq!(parts, [ROWS_TOGETHER_MAX, 1]);
        assert_eq!(together(&[]).count(), 0);
    }

    #[test]
    fn events_that_do_not_fit_say_only_what_changed() {
        let mut events: Vec<Event> = (0..150).map(|part| event(part, LONG)).collect();
        let whole = events[0].clone();
        shorten(&mut events);
        let bytes: usize = events.iter().map(|event| event.body.len()).sum();
        assert!(events.len() == 150 && bytes <= EVENTS_BYTES_MAX + 150 * 100, "{bytes}");
        assert_eq!(events[0], whole);
        let last = String::from_utf8(events[149].body.clone()).unwrap();
        assert_eq!(last, r#"{"id":"sla_1","kind":"slash","look_up":true}"#);

        let mut many: Vec<Event> = (0..=100_000).map(|part| event(part, 0)).collect();
        shorten(&mut many);
        assert_eq!((many.len(), many[0].part), (BATCH_ROWS_MAX, 1), "the newest are kept");
    }
}
