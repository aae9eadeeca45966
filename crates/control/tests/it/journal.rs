//! The journal: told twice, replayed, broken.

use control::{Body, Command, Control, Effect, Refusal, Reply, Subject};
use units::CommandId;

use crate::town::{Town, account, by, digest, dollars, project, rental};

fn body(id: u128, asked: u8) -> Body {
    let (project, amount, note) = (project("ann"), dollars("1"), String::new());
    let command = Command::TopUp { project, amount, note };
    Body { id: CommandId::from_bits(id), asked: digest(asked), by: by("operator"), command }
}

#[test]
fn told_twice_is_told_once() {
    let mut town = Town::new();
    town.tell_body(body(777, 1)).unwrap();
    let length = town.journal.len();
    assert_eq!(town.tell_body(body(777, 1)), Ok(Reply::Done));
    assert_eq!((town.journal.len(), town.purse("ann").as_str()), (length, "101.000000"));
    assert_eq!(town.control.told_before(CommandId::from_bits(777)), Some(Reply::Done));
}

#[test]
fn an_id_means_one_thing() {
    let mut town = Town::new();
    town.tell_body(body(777, 1)).unwrap();
    assert_eq!(town.tell_body(body(777, 2)), Err(Refusal::IdReused));
}

#[test]
fn a_refusal_is_not_remembered() {
    let mut town = Town::new();
    let wrong = Body { by: by("ann"), ..body(777, 1) };
    assert!(town.tell_body(wrong).is_err());
    assert_eq!(town.tell_body(body(777, 2)), Ok(Reply::Done));
}

#[test]
fn commands_are_forgotten_after_a_day() {
    let mut town = Town::new();
    town.tell_body(body(777, 1)).unwrap();
    town.minutes(24 * 60);
    town.ok("clock", Command::Wake {});
    assert_eq!(town.control.told_before(CommandId::from_bits(777)), None);
}

#[test]
fn a_journal_that_was_altered_is_not_replayed() {
    let town = Town::new();
    let check = |alter: fn(&mut control::Entry), why: &str| {
        let mut again = Control::new();
        let mut entry = town.journal[0].clone();
        alter(&mut entry);
        let broken = again.replay(&entry).unwrap_err();
        assert!(broken.to_string().contains(why), "{broken}");
        assert!(again == Control::new(), "{why}: nothing has changed");
    };
    check(|entry| entry.seq = 2, "does not follow");
    check(|entry| entry.previous = [1; 32], "does not follow");
    check(|entry| entry.hash = [1; 32], "hash");
    check(|entry| entry.body[3] ^= 1, "hash");
    let sealed = |entry: &mut control::Entry| {
        let (seq, at) = (entry.seq, entry.at_millis);
        entry.hash = control::Entry::hash_of(&entry.previous, seq, at, &entry.body);
    };
    let mut garbled = town.journal[0].clone();
    garbled.body = b"{}".to_vec();
    sealed(&mut garbled);
    assert!(Control::new().replay(&garbled).unwrap_err().to_string().contains("cannot read"));
    let mut early = town.journal[1].clone();
    early.at_millis = 0;
    sealed(&mut early);
    let mut again = Control::new();
    again.replay(&town.journal[0]).unwrap();
    assert!(again.replay(&early).unwrap_err().to_string().contains("older"));
    let mut twice = town.journal[0].clone();
    (twice.seq, twice.previous) = (2, town.journal[0].hash);
    twice.body = serde_json::to_vec(&Body { by: by("ann"), ..body(1, 1) }).unwrap();
    sealed(&mut twice);
    assert!(again.replay(&twice).unwrap_err().to_string().contains("refused"));
}

#[test]
fn what_is_no_snapshot_does_not_become_a_state() {
    let town = Town::with(&[1]);
    assert!(Control::from_snapshot(b"").is_err());
    let snapshot = town.control.snapshot();
    assert!(Control::from_snapshot(&snapshot[..snapshot.len() - 1]).is_err());
    let text = String::from_utf8(snapshot).unwrap();
    let unit = format!("{}", 100_000_000);
    assert!(text.contains(&unit), "the balance is in it");
    assert!(Control::from_snapshot(text.replacen(&unit, "100000001", 1).as_bytes()).is_err());
}

#[test]
fn whoever_watches_is_told_of_every_stage() {
    let mut town = Town::with(&[1]);
    let changed = |town: &mut Town| {
        let effects = std::mem::take(&mut town.effects);
        effects.contains(&Effect::Changed(Subject::Rental(rental("a"))))
    };
    town.quote("ann", "a", 1).unwrap();
    assert!(changed(&mut town));
    town.rent("ann", "a", false).unwrap();
    let moved = town.effects.iter().filter(|effect| matches!(effect, Effect::Moved(_))).count();
    let nudged = town.effects.iter().any(|effect| matches!(effect, Effect::Nudge(_)));
    assert!(moved == 1 && nudged && changed(&mut town));
    town.says("m0", "a0 ready");
    assert!(changed(&mut town));
    town.minutes(30);
    town.end("ann", "a").unwrap();
    assert!(town.effects.contains(&Effect::Changed(Subject::Account(account("sue")))));
    assert!(town.effects.contains(&Effect::Changed(Subject::Project(project("ann")))));
    assert!(changed(&mut town));
    town.says("m0", "");
    assert!(changed(&mut town));
}
