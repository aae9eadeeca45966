//! What a node and the control plane say to each other: papers, in a long poll; what is seen, as soon as others wait
//! for it; and segments of its log.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::NodeNetworkRequest;
use wire::paper::NodeKey as NetworkKey;
use worker::NodeKey;

use super::audit;
use super::house::House;
use super::limits::{HAND_OVER_EVERY, NETWORK_EVERY_MIN, NETWORK_WAIT, WAYS_EVERY_MIN};
use super::papers::NodePapers;
use crate::link::{Link, Trouble};
use crate::mood::Mood;
use crate::presence::{Pinned, Unfit};
use crate::run::now;

/// The status of an answer that says that the node is not wanted there any more.
const NOT_WANTED: u16 = 404;
/// The status of an answer that says that another machine has the node.
const TAKEN: u16 = 409;

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
        // The first after trouble is not held, to hear soon that it is over.
        let at_once = known.is_none() || mood.is_troubled();
        let wait = if at_once { Duration::ZERO } else { NETWORK_WAIT };
        match say(house, link, pinned, (known, wait), ready) {
            Ok(Ok(revision)) => {
                mood.good();
                known = revision;
                house.rest(NETWORK_EVERY_MIN.saturating_sub(asked.elapsed()));
            }
            // It is worth nothing to this node; asked at once, it would be again.
            Ok(Err(unfit)) => {
                known = known.filter(|_| is_behind(&unfit));
                house.rest(NETWORK_WAIT);
            }
            Err(trouble) => {
                known = known.filter(|_| !is_of_the_node(&trouble));
                let rest = match &trouble {
                    // It is not known there yet, or it ends; the next word of what is wanted says which.
                    Trouble::Refused(refusal) if refusal.status == NOT_WANTED => NOT_WANTED_REST,
                    Trouble::Refused(_) | Trouble::Weather(_) => mood.bad(trouble),
                };
                house.rest(rest);
            }
        }
    }
}

/// Whether it is about the node, whose papers may then be others. A control plane that is away, unwell or begins anew
/// hears what the node knows: one that knows nobody yet would else tell it half of its network.
fn is_of_the_node(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Weather(_) => false,
        Trouble::Refused(refusal) => [NOT_WANTED, TAKEN].contains(&refusal.status),
    }
}

/// Whether whoever told it is behind what the node knows: a control plane that began anew with its clock set back. What
/// the node knows holds, and hearing of it the control plane waits for the others, too.
fn is_behind(unfit: &Unfit) -> bool {
    match unfit {
        Unfit::Older { .. } => true,
        Unfit::OtherNetwork { .. }
        | Unfit::Refused { .. }
        | Unfit::Foreign { .. }
        | Unfit::Elsewhere { .. }
        | Unfit::Missing { .. } => false,
    }
}

/// Tells what is news to others as soon as it is seen, beside the question that is held. Answers are heard there.
pub(super) fn tell(house: &House, link: &Link, pinned: &Pinned) {
    let (mut told, mut at_leisure) = (0, Instant::now());
    while let Some(version) = house.newer(told, at_leisure) {
        told = version;
        if let Err(trouble) = say_alone(house, link, pinned) {
            // The next question tells it, too.
            tracing::debug!(%trouble, "what a node sees of its network was not told");
            house.rest(NETWORK_EVERY_MIN);
        }
        at_leisure = Instant::now() + WAYS_EVERY_MIN;
    }
}

/// Says how the node does, and asks nothing.
fn say_alone(house: &House, link: &Link, pinned: &Pinned) -> Result<(), Trouble> {
    let network = network_key(pinned, link)?;
    let request = house.request(&network, (house.revision(), Duration::ZERO));
    let request = NodeNetworkRequest { tells_only: true, ..request };
    let told = link.node_network(house.id, &request, Duration::ZERO);
    told.map(drop).inspect_err(|_| house.was_not_told(&request.seen))
}

/// Asks once. Returns what is known then, or why the answer is worth nothing.
fn say(
    house: &House,
    link: &Link,
    pinned: &Pinned,
    (known, wait): (Option<u64>, Duration),
    ready: &Ready,
) -> Result<Result<Option<u64>, Unfit>, Trouble> {
    let network = network_key(pinned, link)?;
    let request = house.request(&network, (known, wait));
    let answer = link.node_network(house.id, &request, wait);
    let answer = answer.inspect_err(|_| house.was_not_told(&request.seen))?;
    let Some(answer) = answer else { return Ok(Ok(known)) };
    let revision = answer.revision;
    let (held, now) = (house.papers(), now());
    let read = NodePapers::read(answer, network, (&house.bearer(), held.as_deref()), now);
    match read.and_then(|papers| papers.after(held.as_deref(), now)) {
        Ok(papers) => {
            if house.set_papers(papers, revision) {
                ready();
            }
            Ok(Ok(Some(revision)))
        }
        Err(unfit) => {
            let (rental, node) = (house.id.rental, house.id.node);
            tracing::error!(%rental, node, %unfit, "a node cannot join its network");
            Ok(Err(unfit))
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

/// What came of handing over a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandedOver {
    /// All of it is there.
    All,
    /// The control plane is not reached, or not well.
    Later,
    /// The control plane does not know the node.
    Unknown,
}

/// Hands over the sealed segments of the node whose folder this is.
pub(super) fn hand_over_all(folder: &Path, node: NodeKey, link: &Link) -> HandedOver {
    hand_over_by(&folder.join("audit"), &|segment| link.put_audit(node, segment))
}

fn hand_over_by(folder: &Path, put: &dyn Fn(&[u8]) -> Result<(), Trouble>) -> HandedOver {
    while let Some((number, path)) = audit::next_to_hand_over(folder) {
        let weather = |fault: std::io::Error| Trouble::Weather(fault.to_string());
        let handed = fs::read(&path).map_err(weather).and_then(|segment| put(&segment));
        if let Err(trouble) = &handed {
            tracing::debug!(number, %trouble, "a segment of a node's log was not handed over");
        }
        let noted = match handed {
            Ok(()) => audit::note_handed_over(folder, number),
            Err(Trouble::Weather(_)) => return HandedOver::Later,
            Err(Trouble::Refused(refusal)) if refusal.status == NOT_WANTED => {
                return HandedOver::Unknown;
            }
            // It is refused for good; those behind it are not.
            Err(Trouble::Refused(refusal)) => {
                tracing::warn!(number, %refusal, "a segment of a node's log is refused, and set aside");
                audit::set_aside(folder, number)
            }
        };
        if let Err(fault) = noted {
            tracing::debug!(number, fault = format!("{fault:#}"), "a log was not noted");
            return HandedOver::Later;
        }
    }
    HandedOver::All
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::link::Refusal;
    use crate::runtime::scratch::Scratch;

    fn refused(status: u16) -> Trouble {
        let (code, detail) = (String::new(), String::new());
        Trouble::Refused(Refusal { status, code, detail, hint: None })
    }

    #[test]
    fn what_a_node_knows_outlives_a_control_plane_that_is_away_or_unwell() {
        for trouble in [Trouble::Weather("503".to_owned()), refused(401), refused(400)] {
            assert!(!is_of_the_node(&trouble), "{trouble}");
        }
        for trouble in [refused(404), refused(409)] {
            assert!(is_of_the_node(&trouble), "{trouble}");
        }
    }

    #[test]
    fn what_a_node_knows_outlives_word_that_is_older() {
        assert!(is_behind(&Unfit::Older { kind: "policy", held: 2, told: 1 }));
        let (found, known) = (NetworkKey([1; 32]), NetworkKey([2; 32]));
        for unfit in [Unfit::Foreign { kind: "pass" }, Unfit::OtherNetwork { found, known }] {
            assert!(!is_behind(&unfit), "{unfit}");
        }
    }

    #[test]
    fn a_segment_that_is_refused_for_good_is_set_aside_and_stops_no_other() {
        let scratch = Scratch::new("handed-over");
        let segment = |number: u64| scratch.path().join(format!("{number:08}.jsonl"));
        (0..3).for_each(|number| fs::write(segment(number), number.to_string()).unwrap());
        let taken = RefCell::new(Vec::new());
        let hand_over = |status: Option<u16>| {
            hand_over_by(scratch.path(), &|text: &[u8]| match status {
                Some(status) if text == b"1" => Err(refused(status)),
                _ => {
                    taken.borrow_mut().push(text.to_owned());
                    Ok(())
                }
            })
        };
        assert_eq!(hand_over(Some(404)), HandedOver::Unknown);
        assert_eq!(hand_over(Some(413)), HandedOver::All);
        assert_eq!(*taken.borrow(), [b"0", b"2"]);
        assert_eq!(hand_over(None), HandedOver::All);
        let aside = scratch.path().join("refused").join("00000001.jsonl");
        assert_eq!(fs::read_to_string(aside).unwrap(), "1");
    }
}
