//! What every engine must do. Each case gets an empty place.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use server::journal::limits::{
    BATCH_ENTRIES_MAX, BODY_BYTES_MAX, EVENTS_KEPT, EVENTS_TRIM_EVERY, PAGE_BYTES_MAX,
    PAGE_ROWS_MAX, SNAPSHOT_PART_BYTES,
};
use server::journal::{Batch, Event, Head, Journal, JournalError, Options, Reader, Row};

use super::place::{Chain, Place, event, only, row};

/// Makes each case a test on each engine.
macro_rules! on_both_engines {
    ($($case:ident)*) => {
        mod sqlite {
            $(#[test] fn $case() { super::$case(&super::Place::sqlite()); })*
        }
        mod postgres {
            $(#[test] fn $case() { super::$case(&super::Place::postgres()); })*
        }
    };
}

on_both_engines! {
    an_empty_journal_begins_at_zero
    what_is_appended_is_read_back
    a_thousand_entries_go_in_one_batch
    an_empty_batch_changes_nothing
    an_entry_that_does_not_follow_is_refused
    a_refused_batch_leaves_nothing
    events_come_in_order_and_of_their_batch
    what_is_too_large_is_refused
    what_is_not_text_is_refused
    a_page_of_large_entries_is_bounded
    a_missing_entry_is_corruption
    the_newest_snapshot_is_taken
    a_damaged_snapshot_falls_back_to_the_older
    a_snapshot_of_another_chain_is_refused
    a_large_snapshot_comes_back_whole
    a_row_is_replaced_and_deleted
    the_later_of_two_rows_in_a_batch_counts
    rows_page_in_both_directions
    cleared_rows_are_rebuilt_without_entries
    events_page_by_entry_and_part
    old_events_are_dropped
    a_reader_sees_what_was_acknowledged
    an_auditor_reads_beside_the_writer
    a_second_server_is_locked_out
    a_writer_that_was_taken_over_is_fenced
    a_journal_dropped_without_goodbye_opens_again
    a_newer_schema_is_refused
    any_sequence_of_batches_reads_back_the_same
}

fn an_empty_journal_begins_at_zero(place: &Place) {
    let mut journal = place.open();
    assert_eq!(journal.head().unwrap(), Head { seq: 0, hash: [0; 32] });
    assert_eq!(journal.read(0, 10).unwrap(), []);
    assert_eq!(journal.snapshot().unwrap(), None);
    let mut reader = journal.reader().unwrap();
    assert_eq!(reader.row("rental", "rnt_1").unwrap(), None);
    assert_eq!(ids(&mut *reader, None, None, false, 10), "");
    assert_eq!(reader.events(None, (0, 0), 10).unwrap(), []);
}

fn what_is_appended_is_read_back(place: &Place) {
    let mut chain = Chain::default();
    let mut journal = place.open();
    let mut all = vec![chain.next(b""), chain.next(&[0, 255, 0]), chain.next(b"{}")];
    journal.append(&only(&all[..1])).unwrap();
    journal.append(&only(&all[1..])).unwrap();
    assert_eq!(journal.head().unwrap(), chain.head);
    assert_eq!(journal.read(0, 10).unwrap(), all);
    assert_eq!(journal.read(1, 1).unwrap(), all[1..2]);
    assert_eq!(journal.read(3, 10).unwrap(), []);
    drop(journal);

    let mut journal = place.open();
    assert_eq!(journal.head().unwrap(), chain.head);
    all.push(chain.next(b"after a restart"));
    journal.append(&only(&all[3..])).unwrap();
    assert_eq!(journal.read(0, 10).unwrap(), all);
}

fn a_thousand_entries_go_in_one_batch(place: &Place) {
    let entries = Chain::default().take(1_000);
    let rows: Vec<Row> =
        (0..1_000).map(|n| row("rental", &format!("rnt_{n:04}"), "prj_1", Some("{}"))).collect();
    let events: Vec<Event> = (1..=1_000).map(|seq| event(seq, 0, "prj_1")).collect();
    let mut journal = place.open();
    journal.append(&Batch { entries: &entries, rows: &rows, events: &events }).unwrap();
    assert_eq!(journal.read(0, 5_000).unwrap(), entries);
    let mut reader = journal.reader().unwrap();
    assert_eq!(reader.rows("rental", None, None, false, 5_000).unwrap().len(), 1_000);
    assert_eq!(reader.events(None, (0, 0), 5_000).unwrap(), events);
}

fn an_empty_batch_changes_nothing(place: &Place) {
    let mut journal = place.open();
    journal.append(&Batch::default()).unwrap();
    assert_eq!(journal.head().unwrap(), Head::default());
}

fn an_entry_that_does_not_follow_is_refused(place: &Place) {
    let mut chain = Chain::default();
    let entries = chain.take(3);
    let mut journal = place.open();
    let broken = |last, told| Err(JournalError::ChainBroken { last, told });
    assert_eq!(journal.append(&only(&entries[1..2])), broken(0, 2), "a gap");
    journal.append(&only(&entries[..1])).unwrap();
    assert_eq!(journal.append(&only(&entries[..1])), broken(1, 1), "told twice");
    assert_eq!(journal.append(&only(&entries[2..])), broken(1, 3), "a gap");
    let mut forged = entries[1].clone();
    forged.previous[0] ^= 1;
    assert_eq!(journal.append(&only(&[forged])), broken(1, 2), "another chain");
    let swapped = [entries[1].clone(), entries[1].clone()];
    assert_eq!(journal.append(&only(&swapped)), broken(2, 2), "inside a batch");
    journal.append(&only(&entries[1..])).unwrap();
    assert_eq!(journal.read(0, 10).unwrap(), entries);
}

fn a_refused_batch_leaves_nothing(place: &Place) {
    let mut chain = Chain::default();
    let mut journal = place.open();
    let first = chain.take(2);
    let rows = [row("rental", "rnt_1", "prj_1", Some("{}"))];
    let late = [event(1, 0, "prj_1"), event(7, 0, "prj_1")];
    let refused = journal.append(&Batch { entries: &first, rows: &rows, events: &late });
    assert_eq!(refused, Err(JournalError::EventOutOfOrder { seq: 7, part: 0 }));
    nothing_is_there(&mut *journal);

    // The store itself refuses: an event of that place is there already.
    place.tamper("INSERT INTO events (place, seq, part, owner, body) VALUES (2, 9, 9, '', '{}')");
    let events = [event(1, 0, "prj_1"), event(1, 1, "prj_1")];
    let batch = Batch { entries: &first, rows: &rows, events: &events };
    assert!(matches!(journal.append(&batch), Err(JournalError::Other { .. })));
    place.tamper("DELETE FROM events");
    nothing_is_there(&mut *journal);
    journal.append(&batch).unwrap();
    assert_eq!(journal.read(0, 10).unwrap(), first);
}

fn nothing_is_there(journal: &mut dyn Journal) {
    assert_eq!(journal.head().unwrap(), Head::default());
    assert_eq!(journal.read(0, 10).unwrap(), []);
    let mut reader = journal.reader().unwrap();
    assert_eq!(reader.row("rental", "rnt_1").unwrap(), None);
    assert_eq!(reader.events(None, (0, 0), 10).unwrap(), []);
}

fn events_come_in_order_and_of_their_batch(place: &Place) {
    let mut chain = Chain::default();
    let mut journal = place.open();
    journal.append(&only(&chain.take(2))).unwrap();
    let entries = chain.take(2);
    let mut check = |keys: &[(u64, u32)], refused: Option<(u64, u32)>| {
        let events: Vec<Event> = keys.iter().map(|&(seq, part)| event(seq, part, "")).collect();
        let told = journal.append(&Batch { entries: &entries, rows: &[], events: &events });
        let refusal = |(seq, part)| Err(JournalError::EventOutOfOrder { seq, part });
        assert_eq!(told, refused.map_or(Ok(()), refusal), "{keys:?}");
    };
    check(&[(2, 5)], Some((2, 5)));
    check(&[(3, 1), (3, 1)], Some((3, 1)));
    check(&[(4, 0), (3, 0)], Some((3, 0)));
    check(&[(5, 0)], Some((5, 0)));
    check(&[(3, 0), (3, 7), (4, 0)], None);
}

fn what_is_too_large_is_refused(place: &Place) {
    let mut journal = place.open();
    let refused = |told| match told {
        Err(JournalError::TooLarge { what, .. }) => what,
        other => panic!("not refused: {other:?}"),
    };
    let large = Chain::default().next(&vec![0; BODY_BYTES_MAX + 1]);
    assert_eq!(refused(journal.append(&only(&[large]))), "body");
    let many = Chain::default().take(BATCH_ENTRIES_MAX + 1);
    assert_eq!(refused(journal.append(&only(&many))), "batch of entries");
    let mut chain = Chain::default();
    let heavy: Vec<_> = (0..65).map(|_| chain.next(&vec![0; BODY_BYTES_MAX])).collect();
    assert_eq!(refused(journal.append(&only(&heavy))), "bodies of a batch");
    let rows = [row("rental", &"r".repeat(300), "", None)];
    assert_eq!(refused(journal.append(&Batch { rows: &rows, ..only(&[]) })), "row id");
}

fn what_is_not_text_is_refused(place: &Place) {
    let mut journal = place.open();
    let mut check = |row: Row, what| {
        let told = journal.append(&Batch { rows: &[row], ..only(&[]) });
        assert_eq!(told, Err(JournalError::NotText { what }));
    };
    check(row("rental", "", "", None), "the key of a row");
    check(row("rental", "a\0b", "", None), "the key of a row");
    check(row("rental", "a", "\0", None), "the key of a row");
    check(row("rental", "a", "", Some("\0")), "the body of a row");
    check(Row { body: Some(vec![0xff]), ..row("rental", "a", "", None) }, "the body of a row");
}

fn a_page_of_large_entries_is_bounded(place: &Place) {
    let mut chain = Chain::default();
    let mut journal = place.open();
    let each = BODY_BYTES_MAX - 1;
    let entries: Vec<_> = (0..20).map(|_| chain.next(&vec![7; each])).collect();
    journal.append(&only(&entries)).unwrap();
    let first = journal.read(0, 100).unwrap();
    assert_eq!(first.len(), PAGE_BYTES_MAX / each);
    let second = journal.read(first.len() as u64, 100).unwrap();
    assert_eq!([first, second].concat(), entries);
}

fn a_missing_entry_is_corruption(place: &Place) {
    let mut journal = place.open();
    journal.append(&only(&Chain::default().take(5))).unwrap();
    place.tamper("DELETE FROM entries WHERE seq = 3");
    assert!(matches!(journal.read(0, 10), Err(JournalError::Corrupt { .. })));
    assert!(matches!(journal.read(2, 10), Err(JournalError::Corrupt { .. })));
    assert_eq!(journal.read(3, 10).unwrap().len(), 2);
}

fn the_newest_snapshot_is_taken(place: &Place) {
    let mut journal = place.open();
    let entries = Chain::default().take(4);
    journal.append(&only(&entries)).unwrap();
    journal.save_snapshot(0, [0; 32], 1, b"at genesis").unwrap();
    for entry in &entries[..3] {
        journal.save_snapshot(entry.seq, entry.hash, 7, &entry.body).unwrap();
    }
    let found = journal.snapshot().unwrap().unwrap();
    assert_eq!((found.seq, found.hash, found.format), (3, entries[2].hash, 7));
    assert_eq!(found.body, entries[2].body);
    journal.save_snapshot(3, entries[2].hash, 8, b"").unwrap();
    drop(journal);
    let found = place.open().snapshot().unwrap().unwrap();
    assert_eq!((found.seq, found.format, found.body), (3, 8, vec![]));
}

fn a_damaged_snapshot_falls_back_to_the_older(place: &Place) {
    let mut journal = place.open();
    let entries = Chain::default().take(4);
    journal.append(&only(&entries)).unwrap();
    for entry in &entries {
        journal.save_snapshot(entry.seq, entry.hash, 1, b"state").unwrap();
    }
    place.tamper("UPDATE snapshot_parts SET body = X'00' WHERE seq = 4");
    assert_eq!(journal.snapshot().unwrap().unwrap().seq, 3);
    place.tamper("DELETE FROM snapshot_parts WHERE seq = 3");
    assert_eq!(journal.snapshot().unwrap(), None, "only two are kept");
}

fn a_snapshot_of_another_chain_is_refused(place: &Place) {
    let mut journal = place.open();
    let entries = Chain::default().take(2);
    journal.append(&only(&entries)).unwrap();
    let broken = |told| Err(JournalError::ChainBroken { last: 2, told });
    assert_eq!(journal.save_snapshot(2, [1; 32], 1, b""), broken(2));
    assert_eq!(journal.save_snapshot(3, entries[1].hash, 1, b""), broken(3));
    assert_eq!(journal.snapshot().unwrap(), None);
}

fn a_large_snapshot_comes_back_whole(place: &Place) {
    let mut journal = place.open();
    let entries = Chain::default().take(1);
    journal.append(&only(&entries)).unwrap();
    let body: Vec<u8> =
        (0..SNAPSHOT_PART_BYTES * 2 + 5).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
    journal.save_snapshot(1, entries[0].hash, 1, &body).unwrap();
    assert!(journal.snapshot().unwrap().unwrap().body == body);
}

fn a_row_is_replaced_and_deleted(place: &Place) {
    let mut journal = place.open();
    let mut reader = journal.reader().unwrap();
    let mut tell = |row: Row| journal.append(&Batch { rows: &[row], ..only(&[]) }).unwrap();
    tell(row("rental", "rnt_1", "prj_1", Some("{\"a\":1}")));
    tell(row("order", "rnt_1", "prj_1", Some("{}")));
    assert_eq!(reader.row("rental", "rnt_1").unwrap().unwrap(), b"{\"a\":1}");
    tell(row("rental", "rnt_1", "prj_2", Some("{\"a\":2}")));
    assert_eq!(reader.row("rental", "rnt_1").unwrap().unwrap(), b"{\"a\":2}");
    assert_eq!(ids(&mut *reader, Some("prj_1"), None, false, 9), "");
    assert_eq!(ids(&mut *reader, Some("prj_2"), None, false, 9), "rnt_1");
    tell(row("rental", "rnt_1", "", None));
    tell(row("rental", "never_there", "", None));
    assert_eq!(reader.row("rental", "rnt_1").unwrap(), None);
    assert_eq!(reader.row("order", "rnt_1").unwrap().unwrap(), b"{}");
}

fn the_later_of_two_rows_in_a_batch_counts(place: &Place) {
    let mut journal = place.open();
    let rows = [
        row("rental", "a", "", Some("1")),
        row("rental", "b", "", Some("1")),
        row("rental", "c", "", None),
        row("rental", "a", "", Some("2")),
        row("rental", "b", "", None),
        row("rental", "c", "", Some("3")),
    ];
    journal.append(&Batch { rows: &rows, ..only(&[]) }).unwrap();
    let found = journal.reader().unwrap().rows("rental", None, None, false, 9).unwrap();
    assert_eq!(found, [("a".to_owned(), b"2".to_vec()), ("c".to_owned(), b"3".to_vec())]);
}

fn rows_page_in_both_directions(place: &Place) {
    let mut journal = place.open();
    let rows = ["a", "B", "c", "d", "ä"].map(|id| {
        let owner = if id == "B" || id == "d" { "prj_2" } else { "prj_1" };
        row("rental", id, owner, Some("{}"))
    });
    journal.append(&Batch { rows: &rows, ..only(&[]) }).unwrap();
    let reader = &mut *journal.reader().unwrap();
    // Ids sort by their bytes, on every engine and in every locale.
    assert_eq!(ids(reader, None, None, false, 9), "B a c d ä");
    assert_eq!(ids(reader, None, None, true, 9), "ä d c a B");
    assert_eq!(ids(reader, None, None, false, 2), "B a");
    assert_eq!(ids(reader, None, Some("a"), false, 2), "c d");
    assert_eq!(ids(reader, None, Some("d"), false, 2), "ä");
    assert_eq!(ids(reader, None, Some("c"), true, 1), "a");
    assert_eq!(ids(reader, Some("prj_1"), None, false, 9), "a c ä");
    assert_eq!(ids(reader, Some("prj_1"), None, true, 2), "ä c");
    assert_eq!(ids(reader, Some("prj_1"), Some("c"), true, 9), "a");
    assert_eq!(ids(reader, Some("prj_2"), Some("B"), false, 9), "d");
    assert_eq!(ids(reader, Some("prj_3"), None, false, 9), "");
    assert_eq!(ids(reader, None, None, false, 0), "");
}

fn ids(
    reader: &mut dyn Reader,
    owner: Option<&str>,
    after: Option<&str>,
    newest_first: bool,
    limit: usize,
) -> String {
    let page = reader.rows("rental", owner, after, newest_first, limit).unwrap();
    page.into_iter().map(|(id, _)| id).collect::<Vec<_>>().join(" ")
}

fn cleared_rows_are_rebuilt_without_entries(place: &Place) {
    let mut journal = place.open();
    let entries = Chain::default().take(1);
    let rows = [row("rental", "old", "", Some("{}"))];
    let events = [event(1, 0, "")];
    journal.append(&Batch { entries: &entries, rows: &rows, events: &events }).unwrap();
    journal.clear_rows().unwrap();
    let reader = &mut *journal.reader().unwrap();
    assert_eq!(ids(reader, None, None, false, 9), "");
    let rows = [row("rental", "new", "", Some("{}"))];
    journal.append(&Batch { rows: &rows, ..only(&[]) }).unwrap();
    assert_eq!(ids(reader, None, None, false, 9), "new");
    assert_eq!(journal.read(0, 9).unwrap(), entries);
    assert_eq!(reader.events(None, (0, 0), 9).unwrap(), events);
}

fn events_page_by_entry_and_part(place: &Place) {
    let mut journal = place.open();
    let entries = Chain::default().take(3);
    let events = [event(1, 0, "a"), event(1, 1, "b"), event(2, 0, "a"), event(3, u32::MAX, "a")];
    journal.append(&Batch { entries: &entries, rows: &[], events: &events }).unwrap();
    let mut reader = journal.reader().unwrap();
    let mut check = |owner, after, limit, want: &[Event]| {
        assert_eq!(reader.events(owner, after, limit).unwrap(), want, "after {after:?}");
    };
    check(None, (0, 0), 9, &events);
    check(None, (0, 0), 2, &events[..2]);
    check(None, (1, 0), 9, &events[1..]);
    check(None, (1, u32::MAX), 9, &events[2..]);
    check(None, (3, u32::MAX), 9, &[]);
    check(Some("b"), (0, 0), 9, &events[1..2]);
    check(Some("a"), (1, 0), 9, &events[2..]);
    check(Some("c"), (0, 0), 9, &[]);
}

fn old_events_are_dropped(place: &Place) {
    let mut chain = Chain::default();
    let mut journal = place.open();
    let (kept, slack) = (EVENTS_KEPT as u64, EVENTS_TRIM_EVERY as u64);
    let mut told = 0;
    while told < kept + 3 * slack {
        let entries = chain.take(1);
        let parts = 0..50_000.min(u32::try_from(kept + 3 * slack - told).unwrap());
        let events: Vec<Event> = parts.map(|part| event(entries[0].seq, part, "")).collect();
        journal.append(&Batch { entries: &entries, rows: &[], events: &events }).unwrap();
        told += events.len() as u64;
    }
    drop(journal);
    let mut journal = place.open();
    let mut chain_on = chain.clone();
    let entries = chain_on.take(1);
    let events: Vec<Event> = (0..2_000).map(|part| event(entries[0].seq, part, "")).collect();
    journal.append(&Batch { entries: &entries, rows: &[], events: &events }).unwrap();
    let mut reader = journal.reader().unwrap();
    let (mut after, mut count) = ((0, 0), 0);
    loop {
        let page = reader.events(None, after, PAGE_ROWS_MAX).unwrap();
        let Some(last) = page.last() else { break };
        after = (last.seq, last.part);
        count += page.len() as u64;
    }
    assert_eq!(after, (entries[0].seq, 1_999));
    assert!((kept..kept + slack).contains(&count), "{count} events are left");
}

fn a_reader_sees_what_was_acknowledged(place: &Place) {
    let mut chain = Chain::default();
    let mut journal = place.open();
    let mut reader = journal.reader().unwrap();
    for seq in 1..=5 {
        let entries = chain.take(1);
        let body = seq.to_string();
        let rows = [row("rental", "rnt_1", "", Some(&body))];
        let events = [event(seq, 0, "")];
        journal.append(&Batch { entries: &entries, rows: &rows, events: &events }).unwrap();
        assert_eq!(reader.head().unwrap(), chain.head);
        assert_eq!(reader.row("rental", "rnt_1").unwrap().unwrap(), body.as_bytes());
        assert_eq!(reader.events(None, (seq - 1, u32::MAX), 9).unwrap(), events);
        assert_eq!(reader.entries(seq - 1, 9).unwrap(), entries);
    }
}

fn an_auditor_reads_beside_the_writer(place: &Place) {
    let mut chain = Chain::default();
    let mut journal = place.open();
    let all = vec![chain.next(b"a"), chain.next(b"b")];
    journal.append(&only(&all)).unwrap();
    journal.save_snapshot(2, chain.head.hash, 7, b"state").unwrap();
    let mut auditor = server::journal::open_to_read(&place.address).unwrap();
    assert_eq!(auditor.head().unwrap(), chain.head);
    assert_eq!(auditor.entries(0, 10).unwrap(), all);
    assert_eq!(auditor.snapshot().unwrap(), journal.snapshot().unwrap());
    let more = chain.next(b"c");
    journal.append(&only(std::slice::from_ref(&more))).unwrap();
    assert_eq!(auditor.entries(2, 10).unwrap(), [more], "the writer was not disturbed");
}

fn a_second_server_is_locked_out(place: &Place) {
    let mut journal = place.open();
    let second = place.try_open(&Options::default()).err();
    assert!(matches!(second, Some(JournalError::Locked { .. })), "{second:?}");
    journal.append(&only(&Chain::default().take(1))).unwrap();
    drop(journal);
    place.open();
}

fn a_writer_that_was_taken_over_is_fenced(place: &Place) {
    let mut chain = Chain::default();
    let mut old = place.open();
    old.append(&only(&chain.take(1))).unwrap();
    let mut new = place.try_open(&Options { take_over: true, ..Options::default() }).unwrap();
    assert_eq!(new.head().unwrap(), chain.head);
    let next = chain.take(1);
    let fenced = |told: Result<(), JournalError>| {
        assert_eq!(told, Err(JournalError::Fenced { ours: 1, theirs: 2 }));
    };
    fenced(old.append(&only(&next)));
    fenced(old.clear_rows());
    fenced(old.save_snapshot(1, next[0].previous, 1, b""));
    new.append(&only(&next)).unwrap();
    fenced(old.append(&only(&next)));
    assert_eq!(new.read(0, 9).unwrap().len(), 2);
    assert_eq!(old.read(0, 9).unwrap().len(), 2, "reading is harmless");
}

fn a_journal_dropped_without_goodbye_opens_again(place: &Place) {
    let mut chain = Chain::default();
    for round in 0..3 {
        let mut journal = place.open();
        assert_eq!(journal.head().unwrap(), chain.head, "round {round}");
        journal.append(&only(&chain.take(2))).unwrap();
        let reader = journal.reader().unwrap();
        drop(journal);
        drop(reader);
    }
}

fn a_newer_schema_is_refused(place: &Place) {
    drop(place.open());
    place.tamper("INSERT INTO migrations (number, name) VALUES (99, 'from the future')");
    let told = place.try_open(&Options::default()).err();
    assert!(matches!(told, Some(JournalError::TooNew { found: 99, .. })), "{told:?}");
    place.tamper("DELETE FROM migrations WHERE number = 99");
    place.open();
}

fn any_sequence_of_batches_reads_back_the_same(place: &Place) {
    let mut journal = place.open();
    let mut chain = Chain::default();
    let bodies = vec(vec(vec(any::<u8>(), 0..40), 0..6), 1..6);
    let mut dice = TestRunner::deterministic();
    let mut all = Vec::new();
    for case in 0..20 {
        let batches = bodies.new_tree(&mut dice).unwrap().current();
        for batch in batches {
            let entries: Vec<_> = batch.iter().map(|body| chain.next(body)).collect();
            journal.append(&only(&entries)).unwrap();
            all.extend(entries);
        }
        if case % 5 == 0 {
            drop(journal);
            journal = place.open();
        }
        assert_eq!(journal.head().unwrap(), chain.head);
        assert_eq!(journal.read(0, 10_000).unwrap(), all);
    }
}

#[test]
fn a_full_file_refuses_and_goes_on_when_raised() {
    let place = Place::sqlite();
    let mut chain = Chain::default();
    let small = Options { max_bytes: Some(400_000), ..Options::default() };
    let mut journal = place.try_open(&small).unwrap();
    let mut stored = Vec::new();
    let refused = loop {
        let mut next = chain.clone();
        let entries: Vec<_> = (0..10).map(|_| next.next(&[7; 1_000])).collect();
        match journal.append(&only(&entries)) {
            Ok(()) => stored.extend(entries),
            Err(refused) => break refused,
        }
        chain = next;
    };
    assert!(matches!(refused, JournalError::Full { .. }), "{refused:?}");
    assert!(stored.len() > 100, "{} fit", stored.len());
    assert_eq!(journal.read(0, 10_000).unwrap(), stored, "nothing of the refused batch is there");
    drop(journal);

    let mut journal = place.open();
    assert_eq!(journal.head().unwrap(), chain.head);
    stored.extend(chain.take(100));
    journal.append(&only(&stored[stored.len() - 100..])).unwrap();
    assert_eq!(journal.read(0, 10_000).unwrap(), stored);
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let place = Place::sqlite();
    fs::write(place.file().unwrap(), "this is a text of more than a few bytes ".repeat(100))
        .unwrap();
    let told = place.try_open(&Options::default()).err();
    assert!(matches!(told, Some(JournalError::Corrupt { .. })), "{told:?}");
}

#[test]
fn an_address_that_names_no_journal_is_refused() {
    let check = |address| {
        let told = server::journal::open(address, &Options::default()).err();
        assert!(matches!(told, Some(JournalError::BadAddress { .. })), "{address}: {told:?}");
    };
    check("");
    check("sqlite:");
    check("mysql://host/database");
    check("postgres://host/database?schema=Not-Plain");
    check("postgres://host/database?no_such_option=1");
}

#[test]
fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::sqlite();
    let mut journal = place.open();
    journal.append(&only(&Chain::default().take(1))).unwrap();
    let folder = std::path::Path::new(place.file().unwrap()).parent().unwrap();
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
}
