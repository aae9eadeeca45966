//! A whole journal: every entry applied again, every block computed again, and the state that comes of it.

use control::{Closed, Control, SNAPSHOT_FORMAT};
use rewards::emission::Emission;
use rewards::statement;
use serde::Serialize;
use serde_json::Value;
use server::journal::{Reader, Snapshot, open_to_read};
use units::{BlobId, Coins};

use super::wrong;
use crate::failure::Failure;
use crate::show::count;

/// Entries and rows read at once.
const PAGE: usize = 1_000;
/// The kinds of the rows of blocks and of machines in them.
const BLOCK_ROWS: &str = "block";
const REWARD_ROWS: &str = "block-reward";

/// What was found right.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    entries: u64,
    head: String,
    accounts: u64,
    blocks: u64,
    machines_in_blocks: u64,
    emitted: Coins,
    unclaimed: Coins,
    /// Blocks whose rows in the read tables were held against what was computed.
    blocks_with_rows: u64,
    /// The entry whose kept snapshot was held against the state.
    snapshot_at: Option<u64>,
}

/// Replays a journal and holds everything that is kept beside it against what comes of it.
pub(super) fn audit(address: &str) -> Result<Figures, Failure> {
    let store = |why: server::journal::JournalError| {
        let what = format!("{address}: {why}");
        Failure::usage(what, "name the file iog.db of a data folder, or a copy of it")
    };
    let mut reader = open_to_read(address).map_err(store)?;
    let head = reader.head().map_err(store)?;
    let snapshot = reader.snapshot().map_err(store)?.filter(|it| it.format == SNAPSHOT_FORMAT);
    let mut replay = Replay { state: Control::new(), figures: Figures::default(), last: None };
    loop {
        let page = reader.entries(replay.state.head().seq, PAGE).map_err(store)?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            let closed = replay.state.replay_closing(&entry.into());
            for block in closed.map_err(|why| wrong(why.to_string()))? {
                replay.block(reader.as_mut(), &block)?;
            }
            replay.snapshot(snapshot.as_ref())?;
        }
    }
    let found = replay.state.head();
    if (found.seq, found.hash) != (head.seq, head.hash) && found.seq < head.seq {
        return Err(wrong(format!("the chain ends at entry {}, not at {}", found.seq, head.seq)));
    }
    replay.end()
}

/// A journal half-way through.
struct Replay {
    state: Control,
    figures: Figures,
    /// The hash of the last block's header.
    last: Option<BlobId>,
}

impl Replay {
    /// Computes a block again, from its lines, and holds its rows against them.
    fn block(&mut self, reader: &mut dyn Reader, closed: &Closed) -> Result<(), Failure> {
        let Closed { header, rows, version, .. } = closed;
        let hour = header.hour;
        let not = |why: String| wrong(format!("block {hour}: {why}"));
        let current = self.state.version();
        let schedule = (current.number == *version)
            .then(|| Emission::new(&current.parameters.emission).ok())
            .flatten();
        // The last coins of all are fewer than the schedule says when some were burned or given back.
        let schedule = schedule.filter(|schedule| schedule.block(hour) == header.emission);
        statement::audit(header, rows, schedule.as_ref()).map_err(|why| not(why.to_string()))?;
        if self.last.is_some() && header.previous != self.last {
            return Err(not("it does not name the block before it".to_owned()));
        }
        self.last = Some(header.hash());
        self.figures.blocks += 1;
        self.figures.machines_in_blocks += header.rows;
        self.rows(reader, closed)
    }

    fn rows(&mut self, reader: &mut dyn Reader, closed: &Closed) -> Result<(), Failure> {
        let hour = closed.header.hour;
        let not = |why: String| wrong(format!("the rows of block {hour}: {why}"));
        let field = |body: &[u8], name: &str| {
            let value: Option<Value> = serde_json::from_slice(body).ok();
            value.and_then(|value| value[name].as_str().map(str::to_owned)).unwrap_or_default()
        };
        let row = reader.row(BLOCK_ROWS, &hour.to_string()).map_err(|why| not(why.to_string()))?;
        // Read tables may be gone: they follow from the journal, not it from them.
        let Some(row) = row else { return Ok(()) };
        let (stated, computed) = (field(&row, "header"), closed.header.to_string());
        if let Some((stated, computed)) = differ(&stated, &computed) {
            return Err(not(format!("stated `{stated}`, computed `{computed}`")));
        }
        let begins = format!("{hour}/");
        let (mut after, mut computed) = (begins.clone(), closed.rows.iter());
        loop {
            let page = reader
                .rows(REWARD_ROWS, None, Some(&after), false, PAGE)
                .map_err(|why| not(why.to_string()))?;
            let here: Vec<_> = page.iter().filter(|(id, _)| id.starts_with(&begins)).collect();
            for (_, body) in &here {
                let stated = field(body, "line");
                let computed = computed.next().map(ToString::to_string).unwrap_or_default();
                if stated != computed {
                    return Err(not(format!("stated `{stated}`, computed `{computed}`")));
                }
            }
            let Some((last, _)) = here.last().filter(|_| here.len() == PAGE) else { break };
            after.clone_from(last);
        }
        if let Some(missing) = computed.next() {
            return Err(not(format!("stated nothing, computed `{missing}`")));
        }
        self.figures.blocks_with_rows += 1;
        Ok(())
    }

    /// Holds the kept snapshot against the state, where it was made.
    fn snapshot(&mut self, kept: Option<&Snapshot>) -> Result<(), Failure> {
        let Some(kept) = kept.filter(|kept| kept.seq == self.state.head().seq) else {
            return Ok(());
        };
        let not = |why: String| wrong(format!("the snapshot of entry {}: {why}", kept.seq));
        let state = Control::from_snapshot(&kept.body).map_err(|why| not(why.to_string()))?;
        if let Some(difference) = balances_differ(&state, &self.state) {
            return Err(not(difference));
        }
        if state != self.state {
            return Err(not("it is another state with the same balances".to_owned()));
        }
        self.figures.snapshot_at = Some(kept.seq);
        Ok(())
    }

    /// Looks at the state at the end as a whole.
    fn end(mut self) -> Result<Figures, Failure> {
        let state = &self.state;
        state.book().audit().map_err(|why| wrong(format!("the book: {why}")))?;
        // Reading a snapshot back looks at everything that must add up.
        let back =
            Control::from_snapshot(&state.snapshot()).map_err(|why| wrong(why.to_string()))?;
        if back != *state {
            return Err(wrong("the state is not what it is when it is written and read back"));
        }
        let economy = state.economy();
        self.figures.entries = state.head().seq;
        self.figures.head = BlobId::from_sha256(state.head().hash).to_string();
        self.figures.accounts = state.book().accounts().count() as u64;
        self.figures.emitted = economy.blocks.emitted;
        self.figures.unclaimed = economy.accruals.total();
        Ok(self.figures)
    }
}

/// The first line in which two texts differ.
fn differ<'a>(stated: &'a str, computed: &'a str) -> Option<(&'a str, &'a str)> {
    let mut pairs = stated.lines().zip(computed.lines());
    let pair = pairs.find(|(stated, computed)| stated != computed);
    pair.or_else(|| (stated != computed).then_some(("", "another end")))
}

/// The first purse in which two books differ.
fn balances_differ(stated: &Control, computed: &Control) -> Option<String> {
    let mut keys: Vec<_> = computed.book().accounts().map(|(key, _)| key).collect();
    keys.extend(stated.book().accounts().map(|(key, _)| key));
    let different =
        |key: &&ledger::AccountKey| stated.book().account(**key) != computed.book().account(**key);
    let keys: Vec<ledger::AccountKey> = keys.into_iter().collect();
    let key = keys.iter().find(different)?;
    let (stated, computed) = (stated.book().account(*key), computed.book().account(*key));
    Some(format!(
        "{} has {} units of {} there and {} by the journal",
        key.holder,
        stated.balance(),
        key.asset,
        computed.balance()
    ))
}

impl Figures {
    pub(super) fn text(&self) -> String {
        let snapshot = match self.snapshot_at {
            Some(seq) => format!("that of entry {seq} is the state there"),
            None => "none that this program reads".to_owned(),
        };
        format!(
            "entries    {}, one chain to {}\nbook       {}, sums to zero\n\
             blocks     {}, with {}; the rows of {} are right\n\
             emitted    {} IO\nunclaimed  {} IO\nsnapshot   {snapshot}\n\
             ✓ computed again from its entries: it adds up\n",
            self.entries,
            self.head,
            count(self.accounts, "purse"),
            self.blocks,
            count(self.machines_in_blocks, "line"),
            self.blocks_with_rows,
            self.emitted,
            self.unclaimed,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use control::{Actor, Body, Command};
    use server::journal::{Batch, Entry, Options, Row, open};
    use units::{AccountId, CommandId, Hour};

    use super::*;
    use crate::screen::Screen;

    /// A folder of one's own, gone with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("iog-audit-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn address(&self) -> String {
            self.0.join("iog.db").display().to_string()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A coin's beginning and two blocks.
    fn entries() -> (Control, Vec<Entry>) {
        let (mut state, mut entries) = (Control::new(), Vec::new());
        let hour: Hour = "2025-03-05T10".parse().unwrap();
        let name: units::Name = "ada".parse().unwrap();
        let account = AccountId::from_bits(1);
        let open = Command::OpenAccount { account, name, email: None };
        let genesis = Command::Genesis { first_month: "2024-07".parse().unwrap() };
        let rows = [
            (Actor::Operator, open, hour.start()),
            (Actor::Operator, genesis, hour.start()),
            (Actor::Clock, Command::Wake {}, hour.later(2).end()),
        ];
        for (number, (by, command, at)) in (1_u128..).zip(rows) {
            let asked = BlobId::from_sha256([0; 32]);
            let body = Body { id: CommandId::from_bits(number), asked, by, command };
            entries.push(state.tell(body, at).unwrap().entry.unwrap().into());
        }
        (state, entries)
    }

    fn said(result: Result<Figures, Failure>) -> String {
        match result {
            Ok(figures) => figures.text(),
            Err(failure) => failure.text(Screen::PLAIN),
        }
    }

    #[test]
    fn a_journal_that_adds_up_shows_its_figures() {
        let folder = Folder::new("good");
        let (state, entries) = entries();
        let mut journal = open(&folder.address(), &Options::default()).unwrap();
        journal.append(&Batch { entries: &entries, ..Batch::default() }).unwrap();
        let head = state.head();
        journal.save_snapshot(head.seq, head.hash, SNAPSHOT_FORMAT, &state.snapshot()).unwrap();
        let text = said(audit(&folder.address()));
        assert!(text.contains("entries    3, one chain"), "{text}");
        assert!(text.contains("blocks     2, with 0 lines"), "{text}");
        assert!(text.contains("that of entry 3 is the state there"), "{text}");
    }

    #[test]
    fn a_row_that_was_altered_is_found() {
        let folder = Folder::new("row");
        let (_, entries) = entries();
        let mut journal = open(&folder.address(), &Options::default()).unwrap();
        let row = Row {
            kind: BLOCK_ROWS,
            id: "2025-03-05T10:00:00".to_owned(),
            owner: "network".to_owned(),
            body: Some(br#"{"header":"iog block 1\nhour 2025-03-05T11:00:00\n"}"#.to_vec()),
        };
        journal.append(&Batch { entries: &entries, rows: &[row], events: &[] }).unwrap();
        let text = said(audit(&folder.address()));
        assert!(text.contains("stated `hour 2025-03-05T11:00:00`"), "{text}");
    }

    #[test]
    fn another_balance_in_the_snapshot_is_found() {
        let folder = Folder::new("snapshot");
        let (state, entries) = entries();
        let mut journal = open(&folder.address(), &Options::default()).unwrap();
        journal.append(&Batch { entries: &entries, ..Batch::default() }).unwrap();
        let head = state.head();
        let mut other = Control::new();
        // A state with the same chain behind it cannot be made by telling; one entry fewer has other balances.
        entries[..2].iter().for_each(|entry| other.replay(&entry.clone().into()).unwrap());
        journal.save_snapshot(head.seq, head.hash, SNAPSHOT_FORMAT, &other.snapshot()).unwrap();
        let text = said(audit(&folder.address()));
        assert!(
            text.contains("the snapshot of entry 3: ") && text.contains("by the journal"),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_journal_is_refused() {
        let folder = Folder::new("none");
        assert_eq!(audit(&folder.address()).unwrap_err().exit().number(), 2);
    }
}
