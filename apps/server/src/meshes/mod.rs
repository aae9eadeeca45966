//! Private networks of rentals: who is in them now, and the papers that make it so.
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
//! - Nothing is kept here that members do not tell again. A network that was there before the server was is told
//!   nothing until its members had time for that.

mod addresses;
mod issue;
mod member;
mod policy;
mod relays;
mod ssh;
mod views;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::{Control, Role};
use ed25519_dalek::SigningKey;
use tokio::sync::watch;
use units::{ProjectId, RentalId, Timestamp};
use wire::paper::{NodeKey, PASS_VALID_MAX, PaperRefused};

pub(crate) use addresses::NoPlace;
pub(crate) use issue::{Asked, Issued, issue};
pub(crate) use member::{Place, Said, Whose};
pub(crate) use policy::{USUAL, check};
pub(crate) use relays::{NotListed, RELAY_TELLS_SECS, Relays, Teller};
pub(crate) use ssh::{Certified, SshKey, certificate};

use crate::clock::now;
use crate::writer::Writer;
use member::Mesh;

/// How long members that know each other have at least to tell a new server who they are: they come back within
/// seconds, and clients among them.
const GATHERS_MIN: Duration = Duration::from_secs(10);
/// How long they are waited for at most.
const GATHERS_MAX: Duration = Duration::from_secs(60);
/// How often relays and clients are looked at that have gone.
const TICK: Duration = Duration::from_secs(5);

/// Why somebody is not in a network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotHeard {
    /// The brain does not want them there.
    #[error("it is not wanted there")]
    NotWanted,
    /// Another member has one of the keys.
    #[error("another member has this key")]
    KeyTaken,
    /// There are as many clients as there may be.
    #[error("no more than {} clients of a rental", crate::limits::MESH_CLIENTS_MAX)]
    Full,
    /// What it says makes no paper.
    #[error("{0}")]
    Paper(#[from] PaperRefused),
}

/// Somebody who was heard, and may wait for news.
#[derive(Debug)]
pub(crate) struct Heard {
    revision: watch::Receiver<u64>,
    /// Whether it is time for another pass.
    is_pass_due: bool,
}

/// All private networks.
#[derive(Debug, Default)]
pub(crate) struct Meshes {
    table: Mutex<Table>,
    pub(crate) relays: Relays,
}

#[derive(Debug, Default)]
struct Table {
    meshes: BTreeMap<RentalId, Mesh>,
    serial: u64,
}

impl Table {
    fn next_serial(&mut self, now: Timestamp) -> u64 {
        self.serial = now.millis().max(self.serial + 1);
        self.serial
    }

    /// Tells everybody in a network that something is other than it was.
    fn bump(&mut self, id: RentalId, now: Timestamp) {
        let serial = self.next_serial(now);
        if let Some(mesh) = self.meshes.get_mut(&id) {
            mesh.is_owed = false;
            mesh.revision.send_replace(serial);
        }
    }

    /// Holds a network against what the brain wants of it.
    fn want(&mut self, state: &Control, id: RentalId, now: Timestamp) {
        let Some(mesh) = self.meshes.get_mut(&id) else { return };
        let Some(wanted) = state.network_wanted(id) else {
            // Whoever waits is woken by that.
            self.meshes.remove(&id);
            return;
        };
        let project = wanted.project.and_then(|project| state.project(project));
        let is_let_in = |whose: Whose| match whose {
            Whose::Person { is_operator: true, .. } => true,
            Whose::Person { account, .. } => {
                let role = project.and_then(|project| project.members.get(&account));
                matches!(role, Some(Role::Owner | Role::Member))
            }
            Whose::Machine(_) => false,
        };
        if mesh.want(wanted, is_let_in) {
            self.bump(id, now);
        }
    }
}

impl Meshes {
    fn with<T>(&self, call: impl FnOnce(&mut Table) -> T) -> T {
        call(&mut self.table.lock().expect("nobody panics with the networks in hand"))
    }

    /// A rental is other than it was. On the writer's thread, in the order of commits.
    pub(crate) fn rental_changed(&self, state: &Control, id: RentalId) {
        self.with(|table| table.want(state, id, now()));
    }

    /// A project is other than it was: its members, or its policy. As [`Meshes::rental_changed`].
    pub(crate) fn project_changed(&self, state: &Control, id: ProjectId) {
        self.with(|table| {
            let of_project = |(_, mesh): &(&RentalId, &Mesh)| mesh.wanted.project == Some(id);
            let meshes = table.meshes.iter().filter(of_project);
            let ids: Vec<RentalId> = meshes.map(|(id, _)| *id).collect();
            ids.into_iter().for_each(|id| table.want(state, id, now()));
        });
    }

    /// The state was made anew, or somebody looks at what tells no changes.
    pub(crate) fn renew(&self, state: &Control) {
        self.with(|table| {
            let ids: Vec<RentalId> = table.meshes.keys().copied().collect();
            ids.into_iter().for_each(|id| table.want(state, id, now()));
        });
    }

    fn is_open(&self, id: RentalId) -> bool {
        self.with(|table| table.meshes.contains_key(&id))
    }

    /// Begins to keep a network that the brain wants. On the writer's thread, so that no change is missed.
    fn open(&self, state: &Control, id: RentalId) {
        let Some(wanted) = state.network_wanted(id) else { return };
        self.with(|table| {
            if !table.meshes.contains_key(&id) {
                let serial = table.next_serial(now());
                table.meshes.insert(id, Mesh::new(wanted, serial, now()));
            }
        });
    }

    /// A node or a client says how it does. `known` is the revision that it was told last.
    pub(crate) async fn hear(
        self: &Arc<Self>,
        writer: &Writer,
        id: RentalId,
        said: Said,
        (known, key): (Option<u64>, &SigningKey),
    ) -> Result<Result<Heard, NotHeard>, crate::writer::Failure> {
        if !self.is_open(id) {
            let meshes = Arc::clone(self);
            writer.look(move |state| meshes.open(state, id)).await?;
        }
        Ok(self.with(|table| {
            let (place, now) = (said.place, now());
            let serial = table.next_serial(now);
            let mesh = table.meshes.get_mut(&id).ok_or(NotHeard::NotWanted)?;
            if mesh.hear(said, serial, key, now)? {
                mesh.is_owed = false;
                mesh.revision.send_replace(serial);
            }
            // What is older than the network is here, a server before this one told. Not all who ask say so.
            mesh.is_known |= known.is_some_and(|known| known < mesh.first);
            let member = mesh.members.get(&place).ok_or(NotHeard::NotWanted)?;
            let is_pass_due = member.is_pass_due(now);
            Ok(Heard { revision: mesh.revision.subscribe(), is_pass_due })
        }))
    }

    /// A client leaves. Whether it was there.
    pub(crate) fn leave(&self, id: RentalId, key: NodeKey) -> bool {
        self.with(|table| {
            let mesh = table.meshes.get_mut(&id);
            let left = mesh.and_then(|mesh| mesh.members.remove(&Place::Client(key)));
            if left.as_ref().is_some_and(|left| left.paper.is_some()) {
                table.bump(id, now());
            }
            left.is_some()
        })
    }

    /// Whether there is something to tell to who knows a revision, now or within this time.
    pub(crate) async fn has_news(
        &self,
        id: RentalId,
        heard: &mut Heard,
        known: Option<u64>,
        wait: Duration,
    ) -> bool {
        let Some(known) = known else { return true };
        let is_pass_due = heard.is_pass_due;
        let wait = tokio::time::timeout(wait, async {
            if !is_pass_due {
                // An error is the network's end: that is news too.
                let _ = heard.revision.wait_for(|newest| *newest != known).await;
                // What comes together is told together: the more members, the longer it takes to tell them.
                tokio::time::sleep(self.settles(id)).await;
            }
            while self.gathers(id) {
                tokio::time::sleep(GATHERS_LOOK).await;
            }
        });
        wait.await.is_ok()
    }

    fn gathers(&self, id: RentalId) -> bool {
        self.with(|table| table.meshes.get(&id).is_some_and(|mesh| mesh.gathers(now())))
    }

    fn settles(&self, id: RentalId) -> Duration {
        let count = self.with(|table| table.meshes.get(&id).map_or(0, |it| it.members.len()));
        SETTLES_MIN + SETTLES_EACH * u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Forgets clients that ask no more.
    fn drop_silent(&self) {
        self.with(|table| {
            let now = now();
            let mut fewer = Vec::new();
            for (id, mesh) in &mut table.meshes {
                let count = mesh.papers().count();
                mesh.members.retain(|place, member| match place {
                    Place::Node(_) => true,
                    Place::Client(_) => now.since(member.heard) < PASS_VALID_MAX,
                });
                if mesh.papers().count() != count {
                    fewer.push(*id);
                }
            }
            fewer.into_iter().for_each(|id| table.bump(id, now));
        });
    }

    /// Tells everybody everywhere.
    fn bump_all(&self) {
        self.with(|table| {
            let ids: Vec<RentalId> = table.meshes.keys().copied().collect();
            ids.into_iter().for_each(|id| table.bump(id, now()));
        });
    }

    /// Tells what members said more often than others are told of it.
    fn tell_owed(&self) {
        self.with(|table| {
            let owed = table.meshes.iter().filter(|(_, mesh)| mesh.is_owed);
            let ids: Vec<RentalId> = owed.map(|(id, _)| *id).collect();
            ids.into_iter().for_each(|id| table.bump(id, now()));
        });
    }

    fn has_trials(&self) -> bool {
        self.with(|table| table.meshes.values().any(|mesh| mesh.wanted.project.is_none()))
    }
}

/// How often it is looked whether all members have come.
const GATHERS_LOOK: Duration = Duration::from_millis(250);
/// How long changes are gathered before they are told, and longer by this for each member.
const SETTLES_MIN: Duration = Duration::from_millis(100);
/// A thousand nodes are told of each other once in three seconds, and not a thousand times in one.
const SETTLES_EACH: Duration = Duration::from_millis(3);

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
        if meshes.relays.renew(&key, now()) {
            meshes.bump_all();
        }
        meshes.drop_silent();
        meshes.tell_owed();
        // Trials come and go without a row that changes.
        if meshes.has_trials() {
            let known = Arc::clone(&meshes);
            if let Err(why) = writer.look(move |state| known.renew(state)).await {
                tracing::debug!(error = %why, "networks are looked at again at the next tick");
            }
        }
    }
}
