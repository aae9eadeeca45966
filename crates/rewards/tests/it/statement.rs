//! What is published of a block, and what an audit finds in it.

use proptest::prelude::*;
use rewards::block::{BlockRules, Outcome, Row, close};
use rewards::emission::{Emission, EmissionRules};
use rewards::merkle::{Tree, leaf_hash, verify};
use rewards::statement::{Difference, Header, audit, root, text};
use units::{BlobId, Coins, Hour};

use crate::devices::{any_devices, any_rules, devices};

fn hour() -> Hour {
    "2025-03-05T10:00:00".parse().unwrap()
}

fn schedule() -> Emission {
    Emission::new(&EmissionRules::default()).unwrap()
}

/// A statement of three machines by the schedule.
fn statement() -> (Header, Vec<Row>) {
    let machines = "
        1 enterprise gpu ultra-high 10x8 hired
        2 community gpu low 1.50x2 missed
        3 community gpu medium 1x1
        4 community gpu medium 1x4 failed-time
    ";
    let rules = BlockRules::default();
    let block = close(&rules, schedule().block(hour()), &devices(machines));
    let header = Header::of(hour(), None, &rules, &block);
    (header, block.rows)
}

#[test]
fn a_statement_reads_as_it_did_last_year() {
    let (header, rows) = statement();
    let expected = "\
iog block 1
hour 2025-03-05T10:00:00
previous none
points tier 50 hardware 200 hired 5
grouping pool gpu 9500 enterprise 9500
safety-module 300
empty-group to-others
rewarded-max all
close-delay 35
emission 4129.11742836
workers 4005.24390551
safety-module-emission 123.87352285
unearned 0.00000000
group enterprise amount 3804.98171023 norm 9500000000000 base 1600205 earned 1
group community amount 200.26219528 norm 500000000000 base 20100 earned 1
machines nominated 3 succeeded 2 failed 1 missed 1
verified cpu-workers 0 gpu-workers 2 cpus 0 gpus 9
rows 4
root ROOT
wkr_00000000000000000000000001 gpu enterprise ultra-high 10.00 8 hired - passed passed 60 \
earned 1600205 9500000000000 3804.98171023
wkr_00000000000000000000000002 gpu community low 1.50 2 idle uptime,stake passed passed 60 missed rules
wkr_00000000000000000000000003 gpu community medium 1.00 1 idle - passed passed 60 \
earned 20100 500000000000 200.26219528
wkr_00000000000000000000000004 gpu community medium 1.00 4 idle - passed failed 60 failed time-lock
";
    let root = header.root.to_string();
    assert_eq!(text::write(&header, &rows), expected.replace("ROOT", &root));
    assert_eq!(
        header.hash().to_string(),
        "d74c56cd5faadc51fe555f2e4b130bc0bf93217ab67b80c55ca9a7a60e32a525"
    );
    assert_eq!(
        header.bytes(),
        expected.replace("ROOT", &root).split("wkr_").next().unwrap().as_bytes()
    );
}

#[test]
fn an_honest_statement_passes_and_proves_each_line() {
    let (header, rows) = statement();
    assert_eq!(audit(&header, &rows, Some(&schedule())), Ok(()));
    let lines: Vec<_> = rows.iter().map(ToString::to_string).collect();
    let tree = Tree::new(lines.iter().map(|line| leaf_hash(line.as_bytes())));
    assert_eq!(tree.root(), header.root);
    for (index, line) in lines.iter().enumerate() {
        let proof = tree.proof(index).unwrap();
        assert!(verify(line.as_bytes(), index as u64, header.rows, &proof, header.root));
    }
}

/// What an audit says of the statement after a change to it.
fn found(change: impl FnOnce(&mut Header, &mut Vec<Row>)) -> String {
    let (mut header, mut rows) = statement();
    change(&mut header, &mut rows);
    audit(&header, &rows, Some(&schedule())).unwrap_err().to_string()
}

#[test]
fn the_first_difference_is_named() {
    let more = |header: &mut Header, _: &mut Vec<Row>| header.emission = "5000".parse().unwrap();
    assert_eq!(found(more), "stated `emission 5000.00000000`, computed `emission 4129.11742836`");
    let richer = |header: &mut Header, rows: &mut Vec<Row>| {
        let machines: Vec<_> = rows.iter().map(|row| row.device.clone()).collect();
        let block = close(&header.rules, "5000".parse().unwrap(), &machines);
        *header = Header::of(hour(), None, &header.rules, &block);
        *rows = block.rows;
    };
    assert!(found(richer).starts_with("stated `emission 5000"));
    let favor = |header: &mut Header, rows: &mut Vec<Row>| {
        let Outcome::Earned { payout, .. } = &mut rows[2].outcome else { panic!() };
        *payout = "200.26219529".parse().unwrap();
        header.root = root(rows);
    };
    assert!(found(favor).starts_with("stated `wkr_00000000000000000000000003 gpu"));
    let forgiven = |header: &mut Header, rows: &mut Vec<Row>| {
        rows[3].outcome = rows[2].outcome;
        header.root = root(rows);
    };
    assert!(found(forgiven).ends_with("failed time-lock`"));
    let left_out = |_: &mut Header, rows: &mut Vec<Row>| _ = rows.remove(1);
    assert_eq!(
        found(left_out),
        "stated `machines nominated 3 succeeded 2 failed 1 missed 1`, \
         computed `machines nominated 3 succeeded 2 failed 1 missed 0`"
    );
    let twice = |_: &mut Header, rows: &mut Vec<Row>| rows.insert(1, rows[1].clone());
    assert!(found(twice).contains("its second"));
    let swapped = |_: &mut Header, rows: &mut Vec<Row>| rows.swap(1, 2);
    assert!(found(swapped).contains("out of order"));
    let kept = |header: &mut Header, _: &mut Vec<Row>| header.unearned = Coins::from_units(1);
    assert_eq!(found(kept), "stated `unearned 0.00000001`, computed `unearned 0.00000000`");
    let other_root = |header: &mut Header, _: &mut Vec<Row>| header.root = header.hash();
    assert!(found(other_root).starts_with("stated `root"));
    let rules = |header: &mut Header, _: &mut Vec<Row>| header.rules.gpu_share_bp = 10_001;
    assert!(found(rules).starts_with("no block closes by these rules"));
    let shares = |header: &mut Header, _: &mut Vec<Row>| header.rules.enterprise_share_bp = 9_000;
    assert!(found(shares).contains("earned 1600205"));
}

#[test]
fn a_text_that_is_not_a_statement_is_refused_at_its_line() {
    let (header, rows) = statement();
    let written = text::write(&header, &rows);
    let refused = |right: &str, wrong: &str| {
        assert!(written.contains(right), "{right}");
        text::read(&written.replacen(right, wrong, 1)).unwrap_err().to_string()
    };
    assert_eq!(refused("iog block 1", "iog block 2"), "line 1 of the statement is not iog block 1");
    assert_eq!(refused("hour 2025", "hour 25"), "line 2 of the statement is not hour *");
    assert_eq!(refused(" idle ", " idle  "), "line 21 of the statement is not a machine's line");
    assert_eq!(refused(" hired -", " tired -"), "line 20 of the statement is not a machine's line");
    let again = "line 1 of the statement is not written the one way there is";
    assert_eq!(refused("emission 4129.11742836", "emission 04129.11742836"), again);
    assert_eq!(refused("uptime,stake", "stake,uptime"), again);
    let cut = &written[..written.len() - 1];
    assert_eq!(
        text::read(cut).unwrap_err().to_string(),
        "line 24 of the statement is not ended by a newline"
    );
    assert!(text::read("").is_err());
}

proptest! {
    #[test]
    fn every_block_is_read_back_and_passes(
        rules in any_rules(),
        machines in any_devices(),
        previous: Option<[u8; 32]>,
        emission in 0_u64..1_000_000_000_000,
    ) {
        let block = close(&rules, Coins::from_units(emission), &machines);
        let header = Header::of(hour(), previous.map(BlobId::from_sha256), &rules, &block);
        let written = text::write(&header, &block.rows);
        let (read, rows) = text::read(&written).unwrap();
        prop_assert_eq!(&read, &header);
        prop_assert_eq!(&rows, &block.rows);
        prop_assert_eq!(audit(&read, &rows, None), Ok(()));
        let json = serde_json::to_string(&header).unwrap();
        prop_assert_eq!(serde_json::from_str::<Header>(&json).unwrap(), header);
    }

    #[test]
    fn no_byte_of_a_machines_line_changes_unnoticed(at: prop::sample::Index, byte in b' '..=b'~') {
        let (header, rows) = statement();
        let written = text::write(&header, &rows);
        let start = written.find("wkr_").unwrap();
        let at = start + at.index(written.len() - start);
        prop_assume!(written.as_bytes()[at] != byte);
        let mut changed = written.into_bytes();
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        if let Ok((header, rows)) = text::read(&changed) {
            prop_assert!(audit(&header, &rows, None).is_err());
        }
    }

    #[test]
    fn any_text_is_read_without_panic(lines in proptest::collection::vec("[ -~]{0,40}", 0..30)) {
        let _ = text::read(&lines.join("\n"));
        let (header, _) = statement();
        let _ = text::read(&format!("{header}{}\n", lines.join("\n")));
    }
}

#[test]
fn differences_are_data() {
    let (header, mut rows) = statement();
    rows.swap(0, 1);
    let worker = rows[1].device.worker;
    assert_eq!(audit(&header, &rows, None), Err(Difference::Order { worker }));
}
