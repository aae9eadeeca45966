//! What was acknowledged is there after a kill: of the server, and of the database under it.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use server::journal::{Batch, Journal, JournalError, Options, open};

use super::place::{Chain, Place, event, hash_of, only, row};
use crate::cluster::Cluster;

const KILLS: u64 = 20;

#[test]
fn a_killed_server_loses_nothing_acknowledged_on_sqlite() {
    kill_again_and_again(&Place::sqlite());
}

#[test]
fn a_killed_server_loses_nothing_acknowledged_on_postgres() {
    kill_again_and_again(&Place::postgres());
}

fn kill_again_and_again(place: &Place) {
    for kill in 0..KILLS {
        let mut child = start_child(&place.address);
        // Killed while it works on a later batch, each time at another place.
        let acknowledged = acknowledged_after(&mut child, kill * 7 % 12);
        let mut journal = open_soon(place);
        check_all(&mut *journal, acknowledged);
    }
}

/// Another process that appends until it is killed: this very program, running [`child_that_appends`].
fn start_child(address: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journal::crash::child_that_appends", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.as_mut().unwrap(), "{address}").unwrap();
    child
}

/// Kills the child after so many acknowledgments; the last entry it had acknowledged when it died.
fn acknowledged_after(child: &mut Child, batches: u64) -> u64 {
    let mut last = 0;
    let mut left = batches + 1;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(seq) = line.strip_prefix("acknowledged ") else { continue };
        last = seq.parse().unwrap();
        left = left.saturating_sub(1);
        if left == 0 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert_eq!(left, 0, "the child ended by itself");
    last
}

#[test]
#[ignore = "the other process of the tests above, which tell it where to append"]
fn child_that_appends() {
    let mut address = String::new();
    stdin().read_line(&mut address).unwrap();
    if address.is_empty() {
        return;
    }
    let mut journal = open(address.trim(), &Options::default()).unwrap();
    let mut chain = Chain { head: journal.head().unwrap() };
    let mut parent = stdout();
    writeln!(parent).unwrap();
    loop {
        append_some(&mut *journal, &mut chain).unwrap();
        writeln!(parent, "acknowledged {}", chain.head.seq).unwrap();
        parent.flush().unwrap();
    }
}

/// Three entries with an event each, and one row that names the last of them.
fn append_some(journal: &mut dyn Journal, chain: &mut Chain) -> Result<(), JournalError> {
    let mut next = chain.clone();
    let entries = next.take(3);
    let events: Vec<_> = entries.iter().map(|entry| event(entry.seq, 0, "")).collect();
    let rows = [row("last", "entry", "", Some(&next.head.seq.to_string()))];
    journal.append(&Batch { entries: &entries, rows: &rows, events: &events })?;
    *chain = next;
    Ok(())
}

/// All that was acknowledged is there, the chain holds, and rows and events are those of the last entry.
fn check_all(journal: &mut dyn Journal, acknowledged: u64) {
    let head = journal.head().unwrap();
    assert!(head.seq >= acknowledged, "entry {acknowledged} was lost: the end is {}", head.seq);
    assert_eq!(head.seq % 3, 0, "a part of a batch is there");
    let entries = journal.read(0, 10_000).unwrap();
    assert_eq!(entries.len() as u64, head.seq);
    for entry in &entries {
        let hash = hash_of(&entry.previous, entry.seq, entry.at_millis, &entry.body);
        assert_eq!(entry.hash, hash, "entry {}", entry.seq);
    }
    let mut reader = journal.reader().unwrap();
    let named = reader.row("last", "entry").unwrap().unwrap();
    assert_eq!(String::from_utf8(named).unwrap(), head.seq.to_string());
    let events = reader.events(None, (head.seq - 3, 0), 10).unwrap();
    assert_eq!(events.last().map(|event| event.seq), Some(head.seq));
}

/// The database may notice a moment later than we that the child is dead.
fn open_soon(place: &Place) -> Box<dyn Journal> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        match place.try_open(&Options::default()) {
            Ok(journal) => return journal,
            Err(JournalError::Locked { .. }) if Instant::now() < patience => {}
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[test]
fn a_database_that_crashes_is_reached_again_and_has_lost_nothing() {
    let mut cluster = Cluster::start("crash");
    let address = cluster.fresh_address();
    let mut journal = open(&address, &Options::default()).unwrap();
    let mut reader = journal.reader().unwrap();
    let mut chain = Chain::default();
    for _ in 0..3 {
        append_some(&mut *journal, &mut chain).unwrap();
        cluster.crash();
        // The crash is noticed at once or on the first use; the same batch again is stored once.
        let mut told = append_some(&mut *journal, &mut chain);
        if matches!(told, Err(JournalError::Unreachable { .. })) {
            told = append_some(&mut *journal, &mut chain);
        }
        told.unwrap();
        check_all(&mut *journal, chain.head.seq);
        let _ = reader.head();
        assert_eq!(reader.head().unwrap(), chain.head);
    }
}

#[test]
fn a_batch_whose_answer_was_lost_is_stored_once_when_told_again() {
    let place = Place::postgres();
    let mut journal = place.open();
    let mut chain = Chain::default();
    let mut database = place.client();
    append_some(&mut *journal, &mut chain).unwrap();
    let entries = chain.take(2);
    database.batch_execute(CUT_OFF_ON_APPEND).unwrap();
    let told = journal.append(&only(&entries));
    assert!(matches!(told, Err(JournalError::Unreachable { .. })), "{told:?}");
    database.batch_execute("DROP TRIGGER cut_off ON entries").unwrap();
    // The session ended too early to store the batch; so store it in its place, as if only the answer were lost.
    for entry in &entries {
        let [seq, at_millis] = [entry.seq, entry.at_millis].map(|number| number.cast_signed());
        let (previous, hash, body) = (&entry.previous[..], &entry.hash[..], &entry.body);
        let sql = "INSERT INTO entries VALUES ($1, $2, $3, $4, $5)";
        database.execute(sql, &[&seq, &at_millis, &previous, &hash, body]).unwrap();
    }
    journal.append(&only(&entries)).unwrap();
    assert_eq!(journal.head().unwrap(), chain.head);
    append_some(&mut *journal, &mut chain).unwrap();
    assert_eq!(journal.read(0, 100).unwrap().len() as u64, chain.head.seq);
}

/// Ends the session that appends.
const CUT_OFF_ON_APPEND: &str = "
    CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
    CREATE TRIGGER cut_off AFTER INSERT ON entries EXECUTE FUNCTION cut_off();";

#[test]
fn a_full_database_refuses_and_goes_on_when_there_is_room() {
    let place = Place::postgres();
    let mut journal = place.open();
    let mut chain = Chain::default();
    append_some(&mut *journal, &mut chain).unwrap();
    place.tamper(
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'no space left'; END $$;
         CREATE TRIGGER no_room AFTER INSERT ON events EXECUTE FUNCTION no_room();",
    );
    let told = append_some(&mut *journal, &mut chain);
    assert!(matches!(told, Err(JournalError::Full { .. })), "{told:?}");
    assert_eq!(journal.read(0, 10).unwrap().len(), 3, "nothing of the refused batch is there");
    place.tamper("DROP TRIGGER no_room ON events");
    append_some(&mut *journal, &mut chain).unwrap();
    check_all(&mut *journal, chain.head.seq);
}
