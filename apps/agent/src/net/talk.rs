//! What a node and the control plane say to each other: papers, in a long poll; what is seen, as soon as others wait
//! for it; and segments of its log.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::paper::NodeKey as NetworkKey;
use worker::NodeKey;

use super::audit;
use super::house::House;
use super::limits::{HAND_OVER_EVERY, NETWORK_EVERY_MIN, NETWORK_WAIT, WAYS_EVERY_MIN};
use super::papers::NodePapers;
use crate::link::{Link, Trouble};
use crate::mood::Mood;
use crate::presence::Pinned;
use crate::run::now;

/// The status of an answer that says that the node is not wanted there any more.
const NOT_WANTED: u16 = 404;

/// How long to wait then before asking again.
const NOT_WANTED_REST: Duration = Duration::from_secs(2);

/// Says that a node has its first papers.
pub(super) type Ready = Arc<dyn Fn() + Send + Sync>;

/// Asks until the node is not wanted any more.
pub(super) fn ask(house: &House, link: &Link, pinned: &Pinned, ready: &Ready) {
    let mut known = None;
    let mut mood = Mood::new("the network of a node");
    while !house.is_over() {
        let asked = Instant::now();
        let wait = if known.is_none() { Duration::ZERO } else { NETWORK_WAIT };
        match say(house, link, pinned, (known, wait), ready) {
            Ok(Some(revision)) => {
                mood.good();
                known = Some(revision);
                house.rest(NETWORK_EVERY_MIN.saturating_sub(asked.elapsed()));
            }
            // It is worth nothing to this node; asked at once, it would be again.
            Ok(None) => drop(house.rest(NETWORK_WAIT)),
            Err(Trouble::Refused(refusal)) if refusal.status == NOT_WANTED => {
                // It is not known there yet, or it ends; the next word of what is wanted says which.
                known = None;
                house.rest(NOT_WANTED_REST);
            }
            Err(trouble) => {
                known = None;
                house.rest(mood.bad(trouble));
            }
        }
    }
}

/// Tells what is news to others as soon as it is seen, beside the question that is held. Answers are heard there.
pub(super) fn tell(house: &House, link: &Link) {
    let (mut told, mut at_leisure) = (0, Instant::now());
    while let Some(version) = house.newer(told, at_leisure) {
        told = version;
        let request = house.request(house.revision(), Duration::ZERO);
        if let Err(trouble) = link.node_network(house.id, &request, Duration::ZERO) {
            // The next question tells it, too.
            tracing::debug!(%trouble, "what a node sees of its network was not told");
            house.rest(NETWORK_EVERY_MIN);
        }
        at_leisure = Instant::now() + WAYS_EVERY_MIN;
    }
}

fn say(
    house: &House,
    link: &Link,
    pinned: &Pinned,
    (known, wait): (Option<u64>, Duration),
    ready: &Ready,
) -> Result<Option<u64>, Trouble> {
    let request = house.request(known, wait);
    let Some(answer) = link.node_network(house.id, &request, wait)? else { return Ok(known) };
    let revision = answer.revision;
    let network = network_key(pinned, link)?;
    match NodePapers::read(answer, network, &house.bearer(), now()) {
        Ok(papers) => {
            if house.set_papers(papers, revision) {
                ready();
            }
            Ok(Some(revision))
        }
        Err(unfit) => {
            let (rental, node) = (house.id.rental, house.id.node);
            tracing::error!(%rental, node, %unfit, "a node cannot join its network");
            Ok(None)
        }
    }
}

/// The key of the network; asked for if it is not known.
fn network_key(pinned: &Pinned, link: &Link) -> Result<NetworkKey, Trouble> {
    let untold = |why: String| Trouble::Weather(why);
    if let Some(known) = pinned.known().map_err(|fault| untold(format!("{fault:#}")))? {
        return Ok(known);
    }
    let told: NetworkKey = link.network_key()?.parse().map_err(|why| untold(format!("{why}")))?;
    pinned.learn(told).map_err(|fault| untold(format!("{fault:#}")))
}

/// Hands over sealed segments until the node is not wanted any more.
pub(super) fn hand_over(house: &House, link: &Link) {
    while !house.rest(HAND_OVER_EVERY) {
        hand_over_all(&house.folder, house.id, link);
    }
}

/// Hands over the sealed segments of the node whose folder this is, until one is not taken. Returns whether all were.
pub(super) fn hand_over_all(folder: &Path, node: NodeKey, link: &Link) -> bool {
    let folder = folder.join("audit");
    loop {
        match hand_over_next(&folder, node, link) {
            Some(true) => {}
            Some(false) => return false,
            None => return true,
        }
    }
}

/// Hands over the next segment. Returns whether that was done; `None` if there is none.
fn hand_over_next(folder: &Path, node: NodeKey, link: &Link) -> Option<bool> {
    let (number, path) = audit::next_to_hand_over(folder)?;
    let handed = fs::read(&path).map_err(anyhow::Error::from).and_then(|segment| {
        link.put_audit(node, &segment)?;
        audit::note_handed_over(folder, number)
    });
    if let Err(fault) = &handed {
        tracing::debug!(
            number,
            fault = format!("{fault:#}"),
            "a segment of a node's log was not handed over"
        );
    }
    Some(handed.is_ok())
}
