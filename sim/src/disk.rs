//! The control plane's disk: what was committed survives a crash, what was not does not.

use control::Entry;

use crate::dice::Dice;

/// A snapshot as it lies on the disk: the entry after which it was made, and its bytes.
pub(crate) type Snapshot = (u64, Vec<u8>);

/// A journal with the entries that wait for the next commit, and at most one snapshot.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    durable: Vec<Entry>,
    waiting: Vec<Entry>,
    snapshot: Option<Snapshot>,
    pub(crate) full: bool,
}

/// Nothing was written: no space is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Disk {
    pub(crate) fn append(&mut self, entry: Entry) {
        self.waiting.push(entry);
    }

    /// Makes all that waits durable, or nothing of it.
    pub(crate) fn commit(&mut self) -> Result<(), Full> {
        if self.full && !self.waiting.is_empty() {
            self.waiting.clear();
            return Err(Full);
        }
        self.durable.append(&mut self.waiting);
        Ok(())
    }

    /// Power fails while nothing is written: what waits is lost.
    pub(crate) fn lose_power(&mut self) {
        self.waiting.clear();
    }

    /// Power fails during a commit: some of what waits is written, and half of the record after it.
    pub(crate) fn tear(&mut self, dice: &mut Dice) {
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        let whole = dice.index(waiting.len() + 1);
        self.durable.extend(waiting.by_ref().take(whole));
        if let Some(mut torn) = waiting.next() {
            torn.body.truncate(dice.index(torn.body.len()));
            self.durable.push(torn);
        }
    }

    /// What a restart finds, after it has dropped a record that does not agree with its own hash.
    pub(crate) fn recover(&mut self) -> (Option<&Snapshot>, &[Entry]) {
        while self.durable.pop_if(|last| !is_whole(last)).is_some() {}
        (self.snapshot.as_ref(), &self.durable)
    }

    pub(crate) fn keep_snapshot(&mut self, snapshot: Snapshot) {
        self.snapshot = Some(snapshot);
    }

    pub(crate) fn snapshot_seq(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |(seq, _)| *seq)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.durable
    }

    /// The place of the last entry that would survive.
    pub(crate) fn durable_seq(&self) -> u64 {
        self.durable.last().map_or(0, |entry| entry.seq)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

fn is_whole(entry: &Entry) -> bool {
    Entry::hash_of(&entry.previous, entry.seq, entry.at_millis, &entry.body) == entry.hash
}
