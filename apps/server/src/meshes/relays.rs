//! Relays that have told where they are, and how good they are by what nodes saw of them.
//!
//! # Invariants
//! - A relay that does not tell is soon gone from the list, and nothing of it outlives the server.
//! - One account has one voice about a relay, however many machines it has, and none about its own. Few voices say
//!   nothing.
//! - Who keeps a relay here runs the network, or has a machine with all of its stake, and no other relay on that stake
//!   but one that goes away.
//! - Who goes away has score 0 and comes last. Whoever runs the network has its relays come first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use control::Control;
use ed25519_dalek::SigningKey;
use units::{AccountId, Timestamp, WorkerId};
use wire::paper::{NodeKey, PaperRefused, RELAY_VALID_MAX, RelayRecord, SealedPaper};
use wire::{DeviceStakeView, RelayRequest, RelaySeen, RelayView, Time};

use super::addresses::{self, NoPlace};
use crate::clock::now;
use crate::limits::{
    RELAY_REPORTERS_MAX, RELAYS_LEFT_MAX, RELAYS_MAX, RELAYS_OF_OWNER_MAX, RELAYS_TOLD_MAX,
};
use crate::views;

/// Who does not tell for so long is gone: three times what a relay is asked for.
pub(crate) const RELAY_SILENCE_MAX: Duration = Duration::from_secs(60);
/// Relays are looked at every few seconds. Later than that, it is not they who are late.
const LOOKS_LATE_MAX: Duration = Duration::from_secs(20);
/// How often a relay is asked to tell.
pub(crate) const RELAY_TELLS_SECS: u64 = 20;
/// How often members are told of other relays at most, unless they are the operator's: whoever offers one could have
/// all networks told again and again.
const OTHERS_TOLD_EACH: Duration = Duration::from_secs(60);
/// What was seen longer ago says nothing any more.
const SEEN_VALID: Duration = Duration::from_secs(600);
/// Records are signed anew when they are so old.
const RECORD_RENEWED: Duration = Duration::from_secs(3_600);
/// For how long it is known whose a relay was that is gone from the list.
const LEFT_KNOWN: Duration = Duration::from_secs(3_600);

/// The best score, and that of a relay of which nobody has seen anything.
const BEST: u32 = 1_000;
const UNSEEN: u32 = 500;
/// So many accounts have a say before any of it counts: one or two may be in league with the relay, or against it.
const VOICES_MIN: usize = 3;
/// A shorter round trip earns nothing more: figures are told by whoever has them, and the shortest may be made up.
const RTT_FLOOR_MS: u32 = 5;
/// What takes points: a millisecond of the round trip one, a ten-thousandth of loss one, each up to these; a share of
/// accounts that cannot dial it, and of its lines that are taken, as many as these at most.
const RTT_POINTS_MAX: u32 = 400;
const LOSS_POINTS_MAX: u32 = 300;
const DIAL_POINTS_MAX: u32 = 300;
const LOAD_POINTS_MAX: u32 = 200;

/// Why a relay is not taken into the list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotListed {
    /// Somebody else tells for this key.
    #[error("another one has registered this relay's key")]
    Foreign,
    /// One machine, one relay.
    #[error("the stake of {0} backs another relay, which is in the list, or was a minute ago")]
    Backs(WorkerId),
    /// One owner has enough.
    #[error("no more than {RELAYS_OF_OWNER_MAX} relays of one owner")]
    Owner,
    /// All together are enough.
    #[error("no more than {RELAYS_MAX} relays of suppliers in all")]
    Full,
    /// Nobody is sent where it says it is.
    #[error("{0}")]
    Place(#[from] NoPlace),
    /// What it says makes no record.
    #[error("{0}")]
    Record(#[from] PaperRefused),
}

/// Who tells for a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Teller {
    /// The account.
    pub(crate) account: AccountId,
    /// The machine of this account whose stake backs the relay; none for whoever runs the network.
    pub(crate) backed_by: Option<WorkerId>,
}

impl Teller {
    /// Whether its account is named: that of a staked machine is.
    const fn is_named(&self) -> bool {
        self.backed_by.is_some()
    }
}

/// The stake on which this account's machine would have a relay; none if there is no such machine.
pub(crate) fn backing(
    state: &Control,
    worker: WorkerId,
    account: AccountId,
) -> Option<DeviceStakeView> {
    let known = state.worker(worker).filter(|known| known.owner == account)?;
    Some(views::device_stake(state, (worker, known.owner), now()))
}

#[derive(Debug)]
struct Relay {
    told: RelayRequest,
    by: Teller,
    since: Timestamp,
    heard: Timestamp,
    /// What accounts saw, each its newest word.
    seen: BTreeMap<AccountId, (Timestamp, RelaySeen)>,
    record: SealedPaper,
    signed: Timestamp,
    score: u16,
}

/// The list.
#[derive(Debug)]
pub(crate) struct Relays {
    table: Mutex<Table>,
    /// Whether relays may be at any address, whoever tells for them.
    are_private: bool,
}

#[derive(Debug, Default)]
struct Table {
    relays: BTreeMap<NodeKey, Relay>,
    /// Relays that are not in the list any more, whose they were, and when they went.
    left: BTreeMap<NodeKey, (AccountId, Timestamp)>,
    /// The best ones, as members were told of them, and when that was.
    told: BTreeMap<NodeKey, Place>,
    told_at: Option<Timestamp>,
    /// When it was looked who is silent.
    looked_at: Option<Timestamp>,
}

/// Where a relay is, as far as members care.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    is_named: bool,
    tcp: Vec<SocketAddr>,
    udp: Vec<SocketAddr>,
    domain: Option<String>,
    drains: bool,
}

impl Relays {
    pub(crate) fn new(are_private: bool) -> Self {
        Self { table: Mutex::default(), are_private }
    }

    fn with<T>(&self, call: impl FnOnce(&mut Table) -> T) -> T {
        call(&mut self.table.lock().expect("nobody panics with the list in hand"))
    }

    /// Refuses a relay that would not be taken into the list, wherever it is found.
    pub(crate) fn may_tell(&self, by: Teller, told: &RelayRequest) -> Result<(), NotListed> {
        addresses::check(told, !by.is_named(), self.are_private)?;
        self.with(|table| table.has_room(told, by))
    }

    /// A relay tells where it is: what the network says of it from now on.
    pub(crate) fn tell(
        &self,
        by: Teller,
        told: RelayRequest,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<SealedPaper, NotListed> {
        addresses::check(&told, !by.is_named(), self.are_private)?;
        self.with(|table| {
            table.has_room(&told, by)?;
            let known = table.relays.get(&told.key);
            let seen = known.map(|known| known.seen.clone()).unwrap_or_default();
            let since = known.map_or(now, |known| known.since);
            let score = score(&told, &seen, now);
            let is_same = |known: &&Relay| {
                place(&known.told, known.by) == place(&told, by)
                    && known.score == score
                    && is_current(known.signed, now)
            };
            let (record, signed) = match known.filter(is_same) {
                Some(known) => (known.record.clone(), known.signed),
                None => (sign(&told, by, score, key, now)?, now),
            };
            let relay =
                Relay { by, since, heard: now, seen, record: record.clone(), signed, score, told };
            table.insert(relay);
            // So that a clock which was set since then shows, also before anybody has looked.
            table.looked_at = Some(table.looked_at.map_or(now, |at| at.min(now)));
            Ok(record)
        })
    }

    /// What a machine of an account saw of relays, which has a seat at this moment: others have no say. The account's
    /// own relays are left out.
    pub(crate) fn note(&self, account: AccountId, seen: &[RelaySeen], now: Timestamp) {
        self.with(|table| {
            for one in seen {
                let relay = table.relays.get_mut(&one.key);
                let Some(relay) = relay.filter(|relay| relay.by.account != account) else {
                    continue;
                };
                if relay.seen.len() < RELAY_REPORTERS_MAX || relay.seen.contains_key(&account) {
                    relay.seen.insert(account, (now, *one));
                }
            }
        });
    }

    /// Forgets relays that do not tell and what is too old, and signs anew what has another score. Whether it is time
    /// to tell everybody that the best ones are others than they were told of, or elsewhere.
    pub(crate) fn renew(&self, key: &SigningKey, now: Timestamp) -> bool {
        self.with(|table| {
            table.drop_silent(now);
            for relay in table.relays.values_mut() {
                relay.seen.retain(|_, (at, _)| now.since(*at) < SEEN_VALID);
                let score = score(&relay.told, &relay.seen, now);
                let is_new = score != relay.score || !is_current(relay.signed, now);
                if is_new && let Ok(record) = sign(&relay.told, relay.by, score, key, now) {
                    (relay.record, relay.signed, relay.score) = (record, now, score);
                }
            }
            table.has_news(now)
        })
    }

    /// On which machines' stake relays are in the list, and whose those are.
    pub(crate) fn backed(&self) -> BTreeMap<WorkerId, AccountId> {
        let of = |relay: &Relay| relay.by.backed_by.map(|worker| (worker, relay.by.account));
        self.with(|table| table.relays.values().filter_map(of).collect())
    }

    /// Forgets relays that these machines back.
    pub(crate) fn forget(&self, of: &BTreeSet<WorkerId>, now: Timestamp) {
        let is_backed = |relay: &Relay| relay.by.backed_by.is_none_or(|it| !of.contains(&it));
        self.with(|table| table.keep(is_backed, now));
    }

    /// Records of the best relays, best first.
    pub(crate) fn best(&self, most: usize) -> Vec<SealedPaper> {
        self.with(|table| {
            table.ordered().into_iter().take(most).map(|relay| relay.record.clone()).collect()
        })
    }

    /// The list, best first.
    pub(crate) fn views(&self) -> Vec<RelayView> {
        self.with(|table| table.ordered().into_iter().map(Relay::view).collect())
    }

    /// Whether this account tells of this relay, or told of it until a while ago: what it carried is wanted then, too.
    pub(crate) fn is_told_by(&self, relay: &NodeKey, account: AccountId) -> bool {
        self.with(|table| {
            let tells = table.relays.get(relay).map(|it| it.by.account);
            let told = || table.left.get(relay).map(|(told, _)| *told);
            tells.or_else(told) == Some(account)
        })
    }

    /// Where services are visited at these relays: domain and port of each that has a door for names.
    pub(crate) fn places(&self, of: &BTreeSet<NodeKey>) -> BTreeMap<NodeKey, RelayRequest> {
        self.with(|table| {
            let known = of.iter().filter_map(|key| table.relays.get(key));
            known.map(|relay| (relay.told.key, relay.told.clone())).collect()
        })
    }
}

impl Table {
    /// Forgets who does not tell. Nobody is blamed for a time in which nobody looked: then this machine has slept, or
    /// its clock was set.
    fn drop_silent(&mut self, now: Timestamp) {
        let looked_at = self.looked_at.replace(now);
        let has_slept = looked_at.is_some_and(|at| now.since(at) > LOOKS_LATE_MAX);
        for relay in self.relays.values_mut() {
            relay.heard = if has_slept { now } else { relay.heard.min(now) };
        }
        self.keep(|relay| now.since(relay.heard) < RELAY_SILENCE_MAX, now);
        self.left.values_mut().for_each(|(_, at)| *at = (*at).min(now));
        self.left.retain(|_, (_, at)| now.since(*at) < LEFT_KNOWN);
        self.told_at = self.told_at.map(|at| at.min(now));
    }

    /// Keeps relays of which this holds, and remembers for a while whose the others were.
    fn keep(&mut self, which: impl Fn(&Relay) -> bool, now: Timestamp) {
        let left = self.relays.extract_if(.., |_, relay| !which(relay));
        self.left.extend(left.map(|(key, relay)| (key, (relay.by.account, now))));
        while self.left.len() > RELAYS_LEFT_MAX {
            let first = self.left.iter().min_by_key(|(_, (_, at))| *at).map(|(key, _)| *key);
            first.and_then(|key| self.left.remove(&key));
        }
    }

    /// Takes a relay in for which there is room. Of one machine's, one goes away at a time: the newest.
    fn insert(&mut self, relay: Relay) {
        let (key, by, drains, now) = (relay.told.key, relay.by, relay.told.drains, relay.heard);
        let is_beside = |other: &Relay| {
            by.is_named() && other.by.backed_by == by.backed_by && other.told.key != key
        };
        self.keep(|other| !(drains && other.told.drains && is_beside(other)), now);
        self.left.remove(&key);
        self.relays.insert(key, relay);
    }

    /// Refuses a relay for which there is no room, or which is another's.
    fn has_room(&self, told: &RelayRequest, by: Teller) -> Result<(), NotListed> {
        let known = self.relays.get(&told.key);
        if known.is_some_and(|known| known.by.account != by.account) {
            return Err(NotListed::Foreign);
        }
        let Some(worker) = by.backed_by else { return Ok(()) };
        // Who goes away makes room for another, and is not in its way; nobody comes beside another to go away.
        let is_new = known.is_none_or(|known| known.by != by);
        let is_in_way = |other: &&Relay| match (told.drains, is_new) {
            (true, true) => true,
            (true, false) => false,
            (false, _) => !other.told.drains,
        };
        let is_beside = |it: &&Relay| it.told.key != told.key && it.by.backed_by == Some(worker);
        if self.relays.values().filter(is_beside).any(|other| is_in_way(&other)) {
            return Err(NotListed::Backs(worker));
        }
        if !is_new {
            return Ok(());
        }
        let others =
            || self.relays.values().filter(|it| it.told.key != told.key && it.by.is_named());
        if others().filter(|it| it.by.account == by.account).count() >= RELAYS_OF_OWNER_MAX {
            return Err(NotListed::Owner);
        }
        if others().count() >= RELAYS_MAX {
            return Err(NotListed::Full);
        }
        Ok(())
    }

    fn has_news(&mut self, now: Timestamp) -> bool {
        let best = self.ordered().into_iter().take(RELAYS_TOLD_MAX);
        let best: BTreeMap<NodeKey, Place> =
            best.map(|relay| (relay.told.key, place(&relay.told, relay.by))).collect();
        let is_operators = |(_, place): &(&NodeKey, &Place)| !place.is_named;
        let is_other = best.iter().filter(is_operators).ne(self.told.iter().filter(is_operators));
        let is_time = self.told_at.is_none_or(|at| now.since(at) >= OTHERS_TOLD_EACH);
        let has_news = best != self.told && (is_other || is_time);
        if has_news {
            (self.told, self.told_at) = (best, Some(now));
        }
        has_news
    }

    fn ordered(&self) -> Vec<&Relay> {
        let mut all: Vec<&Relay> = self.relays.values().collect();
        let group = |relay: &&Relay| (relay.told.drains, relay.by.is_named());
        all.sort_by_key(|relay| (group(relay), std::cmp::Reverse(relay.score), relay.told.key));
        all
    }
}

impl Relay {
    fn view(&self) -> RelayView {
        RelayView {
            key: self.told.key,
            owner: self.by.is_named().then_some(self.by.account),
            record: self.record.clone(),
            score: self.score,
            rtt_ms: median(self.seen.values().filter_map(|(_, seen)| seen.rtt_ms)),
            lines: self.told.load.lines,
            drains: self.told.drains,
            since: Time(self.since),
        }
    }
}

/// Whether a record of then may be told now: one of a time to come, made while this server's clock was ahead, nobody
/// believes.
fn is_current(signed: Timestamp, now: Timestamp) -> bool {
    signed <= now && now.since(signed) < RECORD_RENEWED
}

fn place(told: &RelayRequest, by: Teller) -> Place {
    Place {
        is_named: by.is_named(),
        tcp: told.tcp.clone(),
        udp: told.udp.clone(),
        domain: told.domain.clone(),
        drains: told.drains,
    }
}

fn sign(
    told: &RelayRequest,
    by: Teller,
    score: u16,
    key: &SigningKey,
    now: Timestamp,
) -> Result<SealedPaper, PaperRefused> {
    let record = RelayRecord {
        relay: told.key,
        owner: by.is_named().then_some(by.account),
        tcp: told.tcp.clone(),
        udp: told.udp.clone(),
        domain: told.domain.clone(),
        score,
        issued: Time(now),
        expires: Time(now.after(RELAY_VALID_MAX)),
    };
    SealedPaper::seal(&record, key)
}

fn score(
    told: &RelayRequest,
    seen: &BTreeMap<AccountId, (Timestamp, RelaySeen)>,
    now: Timestamp,
) -> u16 {
    if told.drains {
        return 0;
    }
    let fresh: Vec<&RelaySeen> =
        seen.values().filter(|(at, _)| now.since(*at) < SEEN_VALID).map(|(_, seen)| seen).collect();
    let (lines, lines_max) = (told.load.lines, told.load.lines_max.unwrap_or(u32::MAX).max(1));
    let load = share(lines.min(lines_max), lines_max, LOAD_POINTS_MAX);
    let lost = match u32::try_from(fresh.len()).unwrap_or(u32::MAX) {
        _ if fresh.len() < VOICES_MIN => BEST - UNSEEN,
        count => {
            let rtt = median(fresh.iter().filter_map(|seen| seen.rtt_ms)).unwrap_or(u32::MAX);
            let loss = median(fresh.iter().map(|seen| u32::from(seen.loss_bp))).unwrap_or(0);
            let failing = fresh.iter().filter(|seen| seen.failed_dials > 0).count();
            let failing = u32::try_from(failing).unwrap_or(count);
            let dials = share(failing, count, DIAL_POINTS_MAX);
            rtt.clamp(RTT_FLOOR_MS, RTT_POINTS_MAX) + loss.min(LOSS_POINTS_MAX) + dials
        }
    };
    // One that stays is better than one that goes away, however bad.
    let score = BEST.saturating_sub(lost + load).max(1);
    u16::try_from(score).unwrap_or(u16::MAX)
}

/// As many points as the part is of the whole.
fn share(part: u32, whole: u32, points: u32) -> u32 {
    let points = u64::from(part) * u64::from(points) / u64::from(whole.max(1));
    u32::try_from(points).unwrap_or(u32::MAX)
}

/// The lower of the two in the middle, if there are two.
fn median(figures: impl Iterator<Item = u32>) -> Option<u32> {
    let mut all: Vec<u32> = figures.collect();
    all.sort_unstable();
    all.get(all.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn teller(account: u128) -> Teller {
        on_stake_of(account, account)
    }

    fn on_stake_of(worker: u128, account: u128) -> Teller {
        let backed_by = Some(WorkerId::from_bits(worker));
        Teller { account: AccountId::from_bits(account), backed_by }
    }

    fn relay(number: u8) -> RelayRequest {
        RelayRequest {
            key: NodeKey([number; 32]),
            statement: String::new(),
            worker: None,
            tcp: vec!["8.9.10.11:443".parse().unwrap()],
            udp: Vec::new(),
            domain: None,
            load: wire::RelayLoad::default(),
            drains: false,
        }
    }

    fn seen(relay: u8, rtt_ms: u32, failed_dials: u32) -> RelaySeen {
        let key = NodeKey([relay; 32]);
        RelaySeen { key, rtt_ms: Some(rtt_ms), loss_bp: 0, failed_dials }
    }

    fn score_of(relays: &Relays, number: u8) -> Option<u16> {
        relays.renew(&key(), NOW);
        let views = relays.views();
        views.iter().find(|view| view.key == NodeKey([number; 32])).map(|view| view.score)
    }

    #[test]
    fn the_score_follows_the_median_of_accounts() {
        let relays = Relays::new(false);
        relays.tell(teller(1), relay(1), &key(), NOW).unwrap();
        assert_eq!(score_of(&relays, 1), Some(500), "nobody has seen it");
        let note = |account: u128, rtt_ms: u32, failed: u32| {
            relays.note(AccountId::from_bits(account), &[seen(1, rtt_ms, failed)], NOW);
        };
        note(1, 1, 0);
        assert_eq!(score_of(&relays, 1), Some(500), "its owner has no voice");
        note(2, 20, 0);
        note(3, 30, 0);
        (0..9).for_each(|_| note(3, 30, 0));
        assert_eq!(score_of(&relays, 1), Some(500), "two accounts are too few");
        note(4, 999, 0);
        assert_eq!(score_of(&relays, 1), Some(970));
        (0..9).for_each(|_| note(4, 999, 0));
        assert_eq!(score_of(&relays, 1), Some(970), "who says it often says it once");
        note(4, 999, 5);
        assert_eq!(score_of(&relays, 1), Some(870), "one in three cannot dial it");
        relays.tell(teller(1), RelayRequest { drains: true, ..relay(1) }, &key(), NOW).unwrap();
        assert_eq!(score_of(&relays, 1), Some(0));
    }

    #[test]
    fn no_figure_makes_a_relay_the_best_there_is() {
        let relays = Relays::new(false);
        relays.tell(teller(1), relay(1), &key(), NOW).unwrap();
        let note =
            |account: u128| relays.note(AccountId::from_bits(account), &[seen(1, 0, 0)], NOW);
        (2..5).for_each(note);
        assert_eq!(score_of(&relays, 1), Some(995));
        let operator = Teller { backed_by: None, ..teller(9) };
        relays.tell(operator, relay(2), &key(), NOW).unwrap();
        assert_eq!(score_of(&relays, 2), Some(500));
        assert_eq!(relays.views()[0].key, NodeKey([2; 32]), "the operator's comes first");
        relays.tell(operator, RelayRequest { drains: true, ..relay(2) }, &key(), NOW).unwrap();
        assert_eq!(relays.views()[0].key, NodeKey([1; 32]), "who goes away comes last");
    }

    #[test]
    fn a_machine_backs_one_relay() {
        let relays = Relays::new(false);
        let tell = |number, drains, now| {
            let told = RelayRequest { drains, ..relay(number) };
            relays.tell(teller(1), told, &key(), now).map(drop)
        };
        tell(1, false, NOW).unwrap();
        tell(1, false, NOW).unwrap();
        assert!(matches!(tell(2, false, NOW), Err(NotListed::Backs(_))));
        tell(1, true, NOW).unwrap();
        tell(2, false, NOW).unwrap();
        let (worker, account) = (WorkerId::from_bits(1), AccountId::from_bits(1));
        assert_eq!(relays.backed(), [(worker, account)].into());
        relays.forget(&[worker].into(), NOW);
        assert!(relays.views().is_empty(), "the stake is gone");
    }

    #[test]
    fn of_one_machine_one_relay_is_there_and_one_goes_away() {
        let relays = Relays::new(false);
        let tell = |number, drains| {
            let told = RelayRequest { drains, ..relay(number) };
            relays.tell(teller(1), told, &key(), NOW).map(drop)
        };
        let are_there = || -> Vec<u8> { relays.views().iter().map(|view| view.key.0[0]).collect() };
        tell(1, true).unwrap();
        tell(2, false).unwrap();
        tell(1, true).expect("it goes away, its successor is in");
        let begins = |number| tell(number, true);
        assert!((3..40).all(|number| matches!(begins(number), Err(NotListed::Backs(_)))));
        assert!(matches!(tell(1, false), Err(NotListed::Backs(_))), "it may not come back");
        tell(2, true).unwrap();
        assert_eq!(are_there(), [2], "one goes away at a time");
        tell(3, false).unwrap();
        assert_eq!(are_there(), [3, 2]);
    }

    #[test]
    fn suppliers_leave_room_for_the_operators() {
        let relays = Relays::new(false);
        let numbered = |number: u16| {
            let [high, low] = number.to_be_bytes();
            let mut key = [high; 32];
            key[1] = low;
            RelayRequest { key: NodeKey(key), ..relay(0) }
        };
        let tell = |number: u16| {
            let by = on_stake_of(number.into(), u128::from(number) / 32);
            relays.tell(by, numbered(number), &key(), NOW).map(drop)
        };
        let most = u16::try_from(RELAYS_MAX).unwrap();
        (0..most).for_each(|number| tell(number).unwrap());
        assert!(matches!(tell(most), Err(NotListed::Full)));
        let operator = Teller { backed_by: None, ..teller(9) };
        relays.tell(operator, numbered(most), &key(), NOW).unwrap();
    }

    #[test]
    fn whose_a_relay_was_is_known_for_an_hour() {
        let relays = Relays::new(false);
        let own = AccountId::from_bits(1);
        let is_own = || relays.is_told_by(&NodeKey([1; 32]), own);
        relays.tell(teller(1), relay(1), &key(), NOW).unwrap();
        relays.forget(&[WorkerId::from_bits(1)].into(), NOW);
        assert!(is_own(), "its stake is gone, what it carried is wanted");
        assert!(!relays.is_told_by(&NodeKey([1; 32]), AccountId::from_bits(2)));
        relays.renew(&key(), NOW.after(LEFT_KNOWN - Duration::from_secs(1)));
        assert!(is_own());
        relays.renew(&key(), NOW.after(LEFT_KNOWN));
        assert!(!is_own());
    }

    #[test]
    fn what_was_signed_and_told_while_the_clock_was_ahead_holds_nothing_up() {
        let relays = Relays::new(false);
        let ahead = NOW.after(Duration::from_secs(86_400));
        relays.tell(teller(1), relay(1), &key(), ahead).unwrap();
        assert!(relays.renew(&key(), ahead));
        let network = NodeKey(key().verifying_key().to_bytes());
        let is_read = || relays.best(1)[0].open::<RelayRecord>(&network, NOW).is_ok();
        assert!(!is_read());
        relays.renew(&key(), NOW);
        assert!(is_read());
        relays.tell(teller(2), relay(2), &key(), NOW).unwrap();
        assert!(!relays.renew(&key(), NOW.after(Duration::from_secs(15))));
        let looks = (20..=60).step_by(5).any(|secs| {
            relays.tell(teller(2), relay(2), &key(), NOW.after(Duration::from_secs(secs))).unwrap();
            relays.renew(&key(), NOW.after(Duration::from_secs(secs)))
        });
        assert!(looks, "a minute later, and not a day");
    }

    #[test]
    fn who_does_not_tell_is_gone() {
        let relays = Relays::new(false);
        let at = |secs: u64| NOW.after(Duration::from_secs(secs));
        let looks = |secs: std::ops::Range<u64>| {
            secs.step_by(5).filter(|secs| relays.renew(&key(), at(*secs))).count()
        };
        relays.tell(teller(1), relay(1), &key(), NOW).unwrap();
        assert!(relays.renew(&key(), NOW), "there is one more");
        assert_eq!(looks(0..40), 0);
        relays.tell(teller(1), relay(1), &key(), at(40)).unwrap();
        assert_eq!(looks(40..100), 0);
        assert!(relays.renew(&key(), at(100)));
        assert!(relays.views().is_empty());
    }

    #[test]
    fn nobody_is_gone_because_this_machine_slept_or_its_clock_was_set() {
        let relays = Relays::new(false);
        relays.tell(teller(1), relay(1), &key(), NOW).unwrap();
        assert!(relays.renew(&key(), NOW));
        let later = NOW.after(Duration::from_secs(3_600));
        assert!(!relays.renew(&key(), later));
        assert!(!relays.renew(&key(), NOW), "and back again");
        let gone = |secs: &u64| relays.renew(&key(), NOW.after(Duration::from_secs(*secs)));
        assert_eq!((5..90).step_by(5).find(gone), Some(60), "it has a minute from then on");
    }

    #[test]
    fn a_machines_relay_that_comes_and_goes_is_told_once_a_minute() {
        let relays = Relays::new(false);
        let operator = Teller { backed_by: None, ..teller(9) };
        relays.tell(operator, relay(9), &key(), NOW).unwrap();
        assert!(relays.renew(&key(), NOW));
        let toggle = |secs: u64, by: Teller, number: u8| {
            let now = NOW.after(Duration::from_secs(secs));
            let drains = secs.is_multiple_of(2);
            relays.tell(by, RelayRequest { drains, ..relay(number) }, &key(), now).unwrap();
            relays.renew(&key(), now)
        };
        let told = (1..60).filter(|secs| toggle(*secs, teller(1), 1)).count();
        assert_eq!(told, 0);
        assert!(toggle(61, teller(1), 1));
        assert!(!toggle(62, teller(1), 1));
        assert!(toggle(62, operator, 9), "the operator's are told at once");
    }

    #[test]
    fn a_relay_that_nobody_is_told_of_is_no_news() {
        let relays = Relays::new(false);
        let loaded = wire::RelayLoad { lines: 9, lines_max: Some(9), ..Default::default() };
        for number in 1..=u8::try_from(RELAYS_TOLD_MAX).unwrap() {
            relays.tell(on_stake_of(number.into(), 1), relay(number), &key(), NOW).unwrap();
        }
        assert!(relays.renew(&key(), NOW));
        let worse = RelayRequest { load: loaded, ..relay(99) };
        relays.tell(on_stake_of(99, 2), worse, &key(), NOW).unwrap();
        let later = NOW.after(RELAY_SILENCE_MAX - Duration::from_secs(1));
        for number in (1..=u8::try_from(RELAYS_TOLD_MAX).unwrap()).chain([99]) {
            let load = if number == 99 { loaded } else { wire::RelayLoad::default() };
            let by = on_stake_of(number.into(), if number == 99 { 2 } else { 1 });
            relays.tell(by, RelayRequest { load, ..relay(number) }, &key(), later).unwrap();
        }
        assert!(!relays.renew(&key(), later.after(Duration::from_secs(9))));
    }

    #[test]
    fn a_key_is_registered_by_one_and_an_owner_has_not_all() {
        let relays = Relays::new(false);
        relays.tell(teller(1), relay(0), &key(), NOW).unwrap();
        let foreign = relays.tell(teller(2), relay(0), &key(), NOW);
        assert!(matches!(foreign, Err(NotListed::Foreign)));
        for number in 2..=u8::try_from(RELAYS_OF_OWNER_MAX).unwrap() {
            relays.tell(on_stake_of(number.into(), 1), relay(number), &key(), NOW).unwrap();
        }
        let more = relays.tell(on_stake_of(200, 1), relay(200), &key(), NOW);
        assert!(matches!(more, Err(NotListed::Owner)));
        assert!(relays.tell(on_stake_of(200, 2), relay(200), &key(), NOW).is_ok());
        let nowhere = RelayRequest { tcp: Vec::new(), ..relay(201) };
        let refused = relays.tell(on_stake_of(201, 2), nowhere, &key(), NOW);
        assert!(matches!(refused, Err(NotListed::Record(_))));
    }

    #[test]
    fn a_full_relay_is_worse_than_an_empty_one() {
        let relays = Relays::new(false);
        let loaded = |number: u8, lines: u32| {
            let load = wire::RelayLoad { lines, lines_max: Some(100), ..Default::default() };
            let by = on_stake_of(number.into(), 1);
            relays.tell(by, RelayRequest { load, ..relay(number) }, &key(), NOW).unwrap();
        };
        loaded(1, 100);
        loaded(2, 10);
        assert_eq!(score_of(&relays, 1), Some(300));
        assert_eq!(score_of(&relays, 2), Some(480));
        assert_eq!(relays.views()[0].key, NodeKey([2; 32]), "best first");
    }
}
