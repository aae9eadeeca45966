//! Private networks, of rentals and of the operator's own machines: who is in them now, and the papers that make it so.
//!
//! ```text
//!   brain: which nodes are wanted where ──told at every commit──► Meshes ◄── nodes and clients tell their keys
//!                                                                    │
//!                                             papers, member lists ──┘──► polls that wait for another revision
//! ```
//!
//! # Invariants
//! - A paper is made for whoever the brain wants in a network at that moment, and for a key whose statement holds.
//! - Who is wanted no more is in no list from the commit on that says so, and every member that waits is told.
//! - Revisions grow, over restarts of the server too: they are milliseconds since 1970, or one more.
//! - Each network has a lock of its own, and its papers are made one after the other: what is worked out for one holds
//!   up no other, and never the writer.
//! - Nothing is kept here that members do not tell again. A network that was there before the server was is told
//!   nothing until its members had time for that.

mod addresses;
#[cfg(test)]
mod differences;
mod gone;
mod issue;
mod knocks;
mod member;
mod policy;
mod relays;
#[cfg(test)]
mod scale;
mod ssh;
#[cfg(test)]
mod story;
#[cfg(test)]
mod tests;
mod views;
mod worked;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::{Control, NetworkWanted, Role, Scope};
use ed25519_dalek::SigningKey;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use units::{AccountId, KeyId, MeshId, ProjectId, RentalId, Timestamp, WorkerId};
use wire::paper::{NodeKey, PaperRefused, operator_mesh};

pub(crate) use addresses::NoPlace;
pub(crate) use issue::{Asked, Issued, IssuedMember, Visitor, issue, visit};
pub(crate) use knocks::{Knocks, Unreachable};
pub(crate) use member::{Called, Place, Said, Whose};
pub(crate) use policy::{USUAL, check};
pub(crate) use relays::{NotListed, RELAY_TELLS_SECS, Relays, Teller, backing};
pub(crate) use ssh::{Certified, SshKey, certificate};
pub(crate) use worked::Listed;

use crate::clock::now;
use crate::writer::{Failure, Writer};
use member::Mesh;

/// How long members that know each other have at least to tell a new server who they are: they come back within
/// seconds, and clients among them.
const GATHERS_MIN: Duration = Duration::from_secs(10);
/// How long they are waited for at most.
const GATHERS_MAX: Duration = Duration::from_secs(60);
/// How often relays and clients are looked at that have gone.
const TICK: Duration = Duration::from_secs(5);
/// Papers that are made at one time: it is work, and each of a large network takes some megabytes while it is made.
const ISSUED_AT_ONCE_MAX: usize = 4;

/// Why somebody is not in a network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotHeard {
    /// The brain does not want them there.
    #[error("it is not wanted there")]
    NotWanted,
    /// Who asks has left the project, or the key was taken back, while it asked.
    #[error("not allowed any more")]
    NotLetIn,
    /// Another member has one of the keys.
    #[error("another member has this key")]
    KeyTaken,
    /// Another member is called so.
    #[error("another member has this name")]
    NameTaken,
    /// There are as many as there may be.
    #[error("no more than {max} {what}")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// What it says makes no paper.
    #[error("{0}")]
    Paper(#[from] PaperRefused),
}

/// Whose network it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NetworkOf {
    /// The operator's own, which is always there.
    Operator,
    /// A rental's, or a trial's.
    Rental(RentalId),
}

/// How somebody is heard.
pub(crate) struct Hearing<'a> {
    /// The revision that it was told last.
    pub(crate) known: Option<u64>,
    /// The network's key.
    pub(crate) key: &'a SigningKey,
    /// Whether who asks may still do so: looked at with the network in hand, so that nobody slips in who is put out at
    /// that moment.
    pub(crate) is_let_in: &'a (dyn Fn() -> bool + Sync),
}

/// Somebody who was heard, and may wait for news.
#[derive(Debug)]
pub(crate) struct Heard {
    revision: watch::Receiver<u64>,
    /// Whether it is time for another pass.
    is_pass_due: bool,
}

/// All private networks.
#[derive(Debug)]
pub(crate) struct Meshes {
    table: Mutex<BTreeMap<NetworkOf, Arc<Mutex<Mesh>>>>,
    /// The newest revision of any network.
    serial: AtomicU64,
    /// Places for those who make papers.
    issuing: Arc<Semaphore>,
    pub(crate) relays: Relays,
    pub(crate) knocks: Knocks,
}

/// What the brain wants of a network. The operator's is there whatever anybody wants.
fn wanted(state: &Control, of: NetworkOf, operators: MeshId) -> Option<NetworkWanted> {
    match of {
        NetworkOf::Rental(id) => state.network_wanted(id),
        NetworkOf::Operator => Some(NetworkWanted {
            mesh: operators,
            project: None,
            seats: BTreeMap::new(),
            services: BTreeMap::new(),
            policy: state.operator_policy().clone(),
        }),
    }
}

/// Whether this key of a person opens a network: that of a project to its owners and members, all to the operator.
fn is_let_in(
    state: &Control,
    of: (NetworkOf, Option<ProjectId>),
    key: KeyId,
    now: Timestamp,
) -> bool {
    let Some(key) = state.key(key).filter(|key| key.is_valid(now)) else { return false };
    if key.scopes.contains(&Scope::Operator) {
        return true;
    }
    let (NetworkOf::Rental(_), Some(project)) = of else { return false };
    let role = state.project(project).and_then(|project| project.members.get(&key.account));
    matches!(role, Some(Role::Owner | Role::Member))
}

impl Meshes {
    /// None yet. `private_relays` is whether relays of machines may be at any address.
    pub(crate) fn new(private_relays: bool) -> Self {
        Self {
            table: Mutex::default(),
            serial: AtomicU64::new(0),
            issuing: Arc::new(Semaphore::new(ISSUED_AT_ONCE_MAX)),
            relays: Relays::new(private_relays),
            knocks: Knocks::default(),
        }
    }

    fn with<T>(&self, call: impl FnOnce(&mut BTreeMap<NetworkOf, Arc<Mutex<Mesh>>>) -> T) -> T {
        call(&mut self.table.lock().expect("nobody panics with the networks in hand"))
    }

    /// Calls with a network in hand, if it is there.
    fn in_mesh<T>(&self, of: NetworkOf, call: impl FnOnce(&mut Mesh) -> T) -> Option<T> {
        let mesh = self.with(|table| table.get(&of).cloned())?;
        let mut mesh = mesh.lock().expect("nobody panics with a network in hand");
        Some(call(&mut mesh))
    }

    fn all(&self) -> Vec<NetworkOf> {
        self.with(|table| table.keys().copied().collect())
    }

    /// Networks of which this holds.
    fn those(&self, which: impl Fn(&Mesh) -> bool) -> Vec<NetworkOf> {
        let is_one = |of: &NetworkOf| self.in_mesh(*of, |mesh| which(mesh)) == Some(true);
        self.all().into_iter().filter(is_one).collect()
    }

    fn next_serial(&self, now: Timestamp) -> u64 {
        let after = |known: u64| now.millis().max(known + 1);
        let known = self
            .serial
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(after(known)));
        after(known.unwrap_or_else(|known| known))
    }

    /// Tells everybody in a network that something is other than it was.
    fn bump(&self, of: NetworkOf, now: Timestamp) {
        self.in_mesh(of, |mesh| mesh.bump(self.next_serial(now)));
    }

    /// Holds a network against what the brain wants of it.
    fn want(&self, state: &Control, of: NetworkOf, now: Timestamp) {
        let Some(mesh) = self.in_mesh(of, |mesh| mesh.wanted.mesh) else { return };
        let Some(wanted) = wanted(state, of, mesh) else {
            // Whoever waits is woken by that.
            self.with(|table| table.remove(&of));
            return;
        };
        let project = wanted.project;
        self.in_mesh(of, |mesh| {
            let is_let_in = |key: KeyId| is_let_in(state, (of, project), key, now);
            if mesh.want(wanted, is_let_in) {
                mesh.bump(self.next_serial(now));
            }
        });
    }

    /// A rental is other than it was. On the writer's thread, in the order of commits.
    pub(crate) fn rental_changed(&self, state: &Control, id: RentalId) {
        self.want(state, NetworkOf::Rental(id), now());
    }

    /// A project is other than it was: its members, or its policy. As [`Meshes::rental_changed`].
    pub(crate) fn project_changed(&self, state: &Control, id: ProjectId) {
        let of_project = self.those(|mesh| mesh.wanted.project == Some(id));
        of_project.into_iter().for_each(|of| self.want(state, of, now()));
    }

    /// The policy of the operator's network is other than it was. As [`Meshes::rental_changed`].
    pub(crate) fn operator_changed(&self, state: &Control) {
        self.want(state, NetworkOf::Operator, now());
    }

    /// A key is other than it was: who came with it may have to go. As [`Meshes::rental_changed`].
    pub(crate) fn key_changed(&self, state: &Control, key: KeyId) {
        let with_key =
            self.those(|mesh| mesh.members.values().any(|it| it.said.whose.key() == Some(key)));
        with_key.into_iter().for_each(|of| self.want(state, of, now()));
    }

    /// The state was made anew.
    pub(crate) fn renew(&self, state: &Control) {
        self.all().into_iter().for_each(|of| self.want(state, of, now()));
    }

    fn is_open(&self, of: NetworkOf) -> bool {
        self.with(|table| table.contains_key(&of))
    }

    /// Begins to keep a network that the brain wants. On the writer's thread, so that no change is missed.
    fn open(&self, state: &Control, of: NetworkOf, operators: MeshId) {
        let Some(wanted) = wanted(state, of, operators) else { return };
        self.with(|table| {
            table.entry(of).or_insert_with(|| {
                let mesh = Mesh::new((of, wanted), self.next_serial(now()), now());
                Arc::new(Mutex::new(mesh))
            });
        });
    }

    /// Makes sure that a network which the brain wants is kept.
    async fn opened(
        self: &Arc<Self>,
        writer: &Writer,
        of: NetworkOf,
        key: &SigningKey,
    ) -> Result<(), Failure> {
        if self.is_open(of) {
            return Ok(());
        }
        let operators = operator_mesh(&NodeKey(key.verifying_key().to_bytes()));
        let meshes = Arc::clone(self);
        writer.look(move |state| meshes.open(state, of, operators)).await
    }

    /// A member says how it does.
    pub(crate) async fn hear(
        self: &Arc<Self>,
        writer: &Writer,
        of: NetworkOf,
        said: Said,
        hearing: &Hearing<'_>,
    ) -> Result<Result<Heard, NotHeard>, Failure> {
        self.opened(writer, of, hearing.key).await?;
        Ok(self.hear_now(of, said, hearing, now()))
    }

    fn hear_now(
        &self,
        of: NetworkOf,
        said: Said,
        hearing: &Hearing<'_>,
        now: Timestamp,
    ) -> Result<Heard, NotHeard> {
        let heard = self.in_mesh(of, |mesh| {
            if !(hearing.is_let_in)() {
                return Err(NotHeard::NotLetIn);
            }
            let (place, serial) = (said.place, self.next_serial(now));
            mesh.hear(said, (serial, hearing.known), hearing.key, now)?;
            // What is older than the network is here, a server before this one told; what is newer than anything here
            // too, if its clock was ahead. Not all who ask say so.
            let told = mesh.first..=*mesh.revision.borrow();
            mesh.is_known |= hearing.known.is_some_and(|known| !told.contains(&known));
            let member = mesh.members.get(&place).ok_or(NotHeard::NotWanted)?;
            Ok(Heard { revision: mesh.revision.subscribe(), is_pass_due: member.is_pass_due(now) })
        });
        heard.unwrap_or(Err(NotHeard::NotWanted))
    }

    /// Somebody who only visits asks for papers: nothing of that is kept.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        writer: &Writer,
        of: NetworkOf,
        key: &SigningKey,
    ) -> Result<Result<Heard, NotHeard>, Failure> {
        self.opened(writer, of, key).await?;
        let heard = self.in_mesh(of, |mesh| {
            let has_visitors = mesh.wanted.project.is_some();
            has_visitors.then(|| Heard { revision: mesh.revision.subscribe(), is_pass_due: false })
        });
        Ok(heard.flatten().ok_or(NotHeard::NotWanted))
    }

    /// A client leaves. Whether it was there.
    pub(crate) fn leave(&self, of: NetworkOf, key: NodeKey) -> bool {
        let left = self.in_mesh(of, |mesh| {
            let left = mesh.leaves(key);
            if left {
                mesh.bump(self.next_serial(now()));
            }
            left
        });
        left.unwrap_or(false)
    }

    /// Whether there is something to tell to who knows a revision, now or within this time. What there is may take a
    /// little longer to be told: it is gathered.
    pub(crate) async fn has_news(
        &self,
        of: NetworkOf,
        heard: &mut Heard,
        known: Option<u64>,
        wait: Duration,
    ) -> bool {
        let Some(known) = known else { return true };
        let until = tokio::time::Instant::now() + wait;
        if !heard.is_pass_due {
            // An error is the network's end: that is news too.
            let changed = heard.revision.wait_for(|newest| *newest != known);
            if tokio::time::timeout_at(until, changed).await.is_err() {
                return false;
            }
            // What comes together is told together: the more members, the longer it takes to tell them.
            tokio::time::sleep(self.settles(of)).await;
        }
        while self.gathers(of) {
            if tokio::time::Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(GATHERS_LOOK).await;
        }
        true
    }

    /// The place of one who makes papers of a network, to be held for as long as they are made, whoever has hung up by
    /// then. `None` if the network is over.
    pub(crate) async fn place(&self, of: NetworkOf) -> Option<[OwnedSemaphorePermit; 2]> {
        let turn = self.in_mesh(of, |mesh| Arc::clone(&mesh.turn))?;
        let turn = turn.acquire_owned().await.ok()?;
        Some([turn, Arc::clone(&self.issuing).acquire_owned().await.ok()?])
    }

    fn gathers(&self, of: NetworkOf) -> bool {
        self.in_mesh(of, |mesh| mesh.gathers(now())).unwrap_or(false)
    }

    fn settles(&self, of: NetworkOf) -> Duration {
        let count = self.in_mesh(of, |mesh| mesh.members.len()).unwrap_or_default();
        SETTLES_MIN + SETTLES_EACH * u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Forgets clients that ask no more.
    fn drop_silent(&self, now: Timestamp) {
        for of in self.all() {
            self.in_mesh(of, |mesh| {
                if mesh.drop_silent(now) {
                    mesh.bump(self.next_serial(now));
                }
            });
        }
    }

    /// Tells everybody everywhere.
    fn bump_all(&self) {
        self.all().into_iter().for_each(|of| self.bump(of, now()));
    }

    /// Tells what members said more often than others are told of it.
    fn tell_owed(&self) {
        self.those(|mesh| mesh.is_owed).into_iter().for_each(|of| self.bump(of, now()));
    }

    /// Networks of trials.
    fn trials(&self) -> Vec<NetworkOf> {
        self.those(|mesh| mesh.of != NetworkOf::Operator && mesh.wanted.project.is_none())
    }
}

/// How often it is looked whether all members have come.
const GATHERS_LOOK: Duration = Duration::from_millis(250);
/// How long changes are gathered before they are told, and longer by this for each member.
const SETTLES_MIN: Duration = Duration::from_millis(100);
/// A thousand nodes are told of each other once in three seconds, and not a thousand times in one.
const SETTLES_EACH: Duration = Duration::from_millis(3);

/// Takes relays out of the list whose machines have left, or have not all of their stake any more.
async fn drop_unbacked(meshes: &Meshes, writer: &Writer) {
    let backed = meshes.relays.backed();
    if backed.is_empty() {
        return;
    }
    let look = move |state: &Control| -> BTreeSet<WorkerId> {
        let is_lost = |worker: &WorkerId, account: &AccountId| {
            !backing(state, *worker, *account).is_some_and(|stake| stake.sufficient)
        };
        backed.into_iter().filter(|(id, owner)| is_lost(id, owner)).map(|(id, _)| id).collect()
    };
    match writer.look(look).await {
        Ok(lost) => meshes.relays.forget(&lost, now()),
        Err(why) => {
            tracing::debug!(error = %why, "stakes of relays are looked at again at the next tick")
        }
    }
}

/// Sees to what goes away without a word, until the server stops.
pub(crate) async fn run(
    meshes: Arc<Meshes>,
    writer: Writer,
    key: SigningKey,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopping.changed() => return,
        }
        drop_unbacked(&meshes, &writer).await;
        if meshes.relays.renew(&key, now()) {
            meshes.bump_all();
        }
        meshes.drop_silent(now());
        meshes.tell_owed();
        // Trials come and go without a row that changes.
        let trials = meshes.trials();
        if !trials.is_empty() {
            let known = Arc::clone(&meshes);
            let look = move |state: &Control| {
                trials.into_iter().for_each(|of| known.want(state, of, now()));
            };
            if let Err(why) = writer.look(look).await {
                tracing::debug!(error = %why, "networks are looked at again at the next tick");
            }
        }
    }
}
