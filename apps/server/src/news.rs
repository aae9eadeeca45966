//! What everyone else may know of a commit: keys and roles for the door, revisions for machines, a bell for streams.
//!
//! All of it follows from the brain's state and is told again whenever that changes; nothing here is the truth.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use control::{Checks, Control, Effect, Key, Role, Subject};
use tokio::sync::watch;
use units::{AccountId, Credits, KeyId, ProjectId, Timestamp, WorkerId};

use crate::meshes::Meshes;
use crate::metrics::{Metrics, Worth};

/// A machine, as far as the door needs to know it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Its ed25519 key.
    pub(crate) public_key: [u8; 32],
    /// The revision of what is wanted of it.
    pub(crate) revision: watch::Sender<u64>,
}

/// The news board.
#[derive(Debug)]
pub(crate) struct News {
    keys: RwLock<BTreeMap<KeyId, Key>>,
    roles: RwLock<BTreeMap<ProjectId, BTreeMap<AccountId, Role>>>,
    workers: RwLock<BTreeMap<WorkerId, Known>>,
    bell: watch::Sender<u64>,
    parameters: watch::Sender<u32>,
    /// Machines of which proofs say something, and what: failed, silent, listed as less.
    doubts: Mutex<BTreeMap<WorkerId, [bool; 3]>>,
    metrics: Metrics,
    /// Private networks, which follow rentals and projects.
    meshes: Arc<Meshes>,
}

impl News {
    /// The news of a state that was just restored.
    pub(crate) fn of(state: &Control, metrics: Metrics, meshes: Arc<Meshes>) -> Self {
        let news = Self {
            keys: RwLock::default(),
            roles: RwLock::default(),
            workers: RwLock::default(),
            bell: watch::channel(0).0,
            parameters: watch::channel(0).0,
            doubts: Mutex::default(),
            metrics,
            meshes,
        };
        news.renew(state);
        news
    }

    /// Tells everything again: the state was made anew.
    pub(crate) fn renew(&self, state: &Control) {
        *self.keys.write().expect("nobody panics with the board in hand") =
            state.keys().map(|(id, key)| (id, key.clone())).collect();
        *self.roles.write().expect("nobody panics with the board in hand") =
            state.projects().map(|(id, project)| (id, project.members.clone())).collect();
        self.workers
            .write()
            .expect("nobody panics with the board in hand")
            .retain(|id, _| state.worker(*id).is_some());
        self.doubts
            .lock()
            .expect("nobody panics with the doubts in hand")
            .retain(|id, _| state.worker(*id).is_some());
        state.workers().for_each(|(id, _)| self.worker_changed(state, id));
        self.count_economy(state);
        self.count_slashes(state);
        self.meshes.renew(state);
        self.ring();
    }

    /// A valid key.
    pub(crate) fn key(&self, id: KeyId, now: Timestamp) -> Option<Key> {
        let keys = self.keys.read().expect("nobody panics with the board in hand");
        keys.get(&id).filter(|key| key.is_valid(now)).cloned()
    }

    /// What an account may do in a project.
    pub(crate) fn role(&self, project: ProjectId, account: AccountId) -> Option<Role> {
        let roles = self.roles.read().expect("nobody panics with the board in hand");
        roles.get(&project)?.get(&account).copied()
    }

    /// A machine that has joined.
    pub(crate) fn worker(&self, id: WorkerId) -> Option<Known> {
        self.workers.read().expect("nobody panics with the board in hand").get(&id).cloned()
    }

    /// Rings at every commit that has events.
    pub(crate) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// Rings when there is another version of the parameters.
    pub(crate) fn parameters(&self) -> watch::Receiver<u32> {
        self.parameters.subscribe()
    }

    /// Rings now: a log has grown.
    pub(crate) fn ring(&self) {
        self.bell.send_modify(|rings| *rings += 1);
    }

    pub(crate) fn committed(&self, entries: usize, took: Duration) {
        self.metrics.committed(entries, took);
    }

    pub(crate) fn tell(&self, state: &Control, effects: &[(u64, Timestamp, Effect)], ring: bool) {
        for (_, _, effect) in effects {
            match effect {
                Effect::Changed(Subject::Key(id)) => {
                    self.key_changed(state, *id);
                    self.meshes.key_changed(state, *id);
                }
                Effect::Changed(Subject::OperatorNetwork) => self.meshes.operator_changed(state),
                Effect::Changed(Subject::Parameters(number)) => {
                    self.parameters.send_replace(*number);
                }
                Effect::Changed(Subject::Project(id)) => self.project_changed(state, *id),
                Effect::Changed(Subject::Rental(id)) => self.meshes.rental_changed(state, *id),
                Effect::Changed(Subject::Slash(_)) => self.count_slashes(state),
                Effect::Changed(Subject::Worker(id)) | Effect::Nudge(id) => {
                    self.worker_changed(state, *id)
                }
                Effect::Changed(
                    Subject::Account(_)
                    | Subject::Brake
                    | Subject::Coin
                    | Subject::Grant(_)
                    | Subject::Invite(_)
                    | Subject::Job(_)
                    | Subject::Offer(_)
                    | Subject::Order(_)
                    | Subject::Proposal(_)
                    | Subject::ProposalStage(_)
                    | Subject::Rate
                    | Subject::Season(_),
                )
                | Effect::Closed(_)
                | Effect::Sealed(_)
                | Effect::Locked(_)
                | Effect::Moved(_) => {}
            }
        }
        self.count_economy(state);
        if ring {
            self.ring();
        }
    }

    fn count_economy(&self, state: &Control) {
        let economy = state.economy();
        let worth = economy.oracle.recent.last().map(|rate| Worth {
            usd_per_coin: Credits::from_units(rate.usd_micros_per_coin),
            at: rate.at,
        });
        self.metrics.coin_rate(worth);
        self.metrics.parameters_version(state.version().number);
        let first = economy.genesis.as_ref().map(|genesis| genesis.first_hour);
        let closed = economy.blocks.open.zip(first).map_or(0, |(open, first)| open.since(first));
        self.metrics.blocks_closed(closed);
    }

    fn count_slashes(&self, state: &Control) {
        let slashes = state.economy().stakes.slashes();
        self.metrics.slashes_open(slashes.filter(|(_, it)| it.stage.holds_coins()).count());
    }

    fn key_changed(&self, state: &Control, id: KeyId) {
        let mut keys = self.keys.write().expect("nobody panics with the board in hand");
        match state.key(id) {
            Some(key) => keys.insert(id, key.clone()),
            None => keys.remove(&id),
        };
    }

    fn project_changed(&self, state: &Control, id: ProjectId) {
        let mut roles = self.roles.write().expect("nobody panics with the board in hand");
        match state.project(id) {
            Some(project) => roles.insert(id, project.members.clone()),
            None => roles.remove(&id),
        };
        drop(roles);
        self.meshes.project_changed(state, id);
    }

    /// Counts machines that failed a proof, break off too often, or are listed as less than they say.
    fn count_doubts(&self, state: &Control, id: WorkerId) {
        let of = |checks: &Checks| {
            let relisted = checks.likeness.counts_as.is_some();
            [checks.failed.is_some(), checks.silence.is_striking(), relisted]
        };
        let doubts = state.worker(id).map(|worker| of(&worker.checks));
        let mut known = self.doubts.lock().expect("nobody panics with the doubts in hand");
        let before = match doubts.filter(|doubts| doubts.contains(&true)) {
            Some(doubts) => known.insert(id, doubts),
            None => known.remove(&id),
        };
        if before != known.get(&id).copied() {
            let count = |which: usize| known.values().filter(|doubts| doubts[which]).count();
            self.metrics.workers_doubted([count(0), count(1), count(2)]);
        }
    }

    fn worker_changed(&self, state: &Control, id: WorkerId) {
        self.count_doubts(state, id);
        let mut workers = self.workers.write().expect("nobody panics with the board in hand");
        let Some(worker) = state.worker(id) else {
            workers.remove(&id);
            return;
        };
        let public_key = *worker.public_key.sha256();
        let known = workers
            .entry(id)
            .or_insert_with(|| Known { public_key, revision: watch::channel(worker.revision).0 });
        // It may have come again with another.
        known.public_key = public_key;
        known.revision.send_if_modified(|known| {
            let newer = *known != worker.revision;
            *known = worker.revision;
            newer
        });
    }
}
