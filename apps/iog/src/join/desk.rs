//! What the threads of a member share: papers that came, what is to be told, and whether it is over.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agent::presence::Papers;
use wire::Way;
use wire::paper::{NodeKey, SealedPaper};

use super::network::Came;
use crate::failure::Failure;

/// What a member says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Relays that it holds lines to, best first.
    pub(super) relays: Vec<NodeKey>,
    /// How it reaches others.
    pub(super) ways: Vec<Way>,
    /// That it belongs there, as it was told last: a server whose clock was set back goes on from there.
    pub(super) shows: Option<SealedPaper>,
}

impl Said {
    /// What others should hear of at once: not how long a way is, which changes all the time.
    fn news(&self) -> (&[NodeKey], Vec<(NodeKey, wire::WayKind)>) {
        (&self.relays, self.ways.iter().map(|way| (way.peer, way.kind)).collect())
    }
}

/// What came, and what is said.
#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    papers: Option<Arc<Papers>>,
    revision: Option<u64>,
    /// The membership that came with the papers, sealed.
    shows: Option<SealedPaper>,
    said: Said,
    /// Grows with what others should hear of.
    version: u64,
    is_over: bool,
    failure: Option<Failure>,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        // What is here is whole between two changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, span: Duration) -> MutexGuard<'a, State> {
        self.news.wait_timeout(state, span).unwrap_or_else(PoisonError::into_inner).0
    }

    /// These came.
    pub(super) fn set_papers(&self, Came { papers, membership, revision, .. }: Came) {
        let mut state = self.state();
        (state.papers, state.revision) = (Some(Arc::new(papers)), Some(revision));
        state.shows = Some(membership);
        self.news.notify_all();
    }

    /// What came last, if anything did.
    pub(super) fn held(&self) -> Option<Arc<Papers>> {
        self.state().papers.clone()
    }

    /// The revision of what came last.
    pub(super) fn revision(&self) -> Option<u64> {
        self.state().revision
    }

    /// What came last: at once if it is other than `known`, else after `patience`. Nothing once it is over.
    pub(super) fn papers(
        &self,
        known: Option<&Arc<Papers>>,
        patience: Duration,
    ) -> Option<Arc<Papers>> {
        let until = Instant::now() + patience;
        let mut state = self.state();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.is_over {
                return None;
            }
            if let Some(papers) = &state.papers
                && (left.is_zero() || known.is_none_or(|known| !Arc::ptr_eq(known, papers)))
            {
                return Some(papers.clone());
            }
            state = self.wait(state, left.max(Duration::from_millis(1)));
        }
    }

    /// This is said from here on.
    pub(super) fn set_said(&self, said: Said) {
        let mut state = self.state();
        if state.said.news() != said.news() {
            state.version += 1;
            self.news.notify_all();
        }
        state.said = said;
    }

    /// What is said.
    pub(super) fn said(&self) -> Said {
        let state = self.state();
        Said { shows: state.shows.clone(), ..state.said.clone() }
    }

    /// Waits until there is something newer to tell than `known`. Nothing once it is over.
    pub(super) fn newer(&self, known: u64) -> Option<u64> {
        let mut state = self.state();
        while !state.is_over {
            if state.version > known {
                return Some(state.version);
            }
            state = self.wait(state, Duration::from_secs(60));
        }
        None
    }

    /// Waits for this long, or until it is over. Returns whether it is.
    pub(super) fn rest(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.state();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.is_over || left.is_zero() {
                return state.is_over;
            }
            state = self.wait(state, left);
        }
    }

    /// It is over: somebody wants that, or it failed.
    pub(super) fn end(&self, failure: Option<Failure>) {
        let mut state = self.state();
        state.is_over = true;
        if state.failure.is_none() {
            state.failure = failure;
        }
        self.news.notify_all();
    }

    /// Why it is over, if it failed.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.state().failure.take()
    }
}

#[cfg(test)]
mod tests {
    use wire::WayKind;

    use super::*;

    fn said(kind: WayKind, rtt: u64) -> Said {
        let way = Way {
            peer: NodeKey([1; 32]),
            kind,
            address: None,
            relay: None,
            rtt_micros: Some(rtt),
            loss_bp: 0,
            why: String::new(),
        };
        Said { ways: vec![way], ..Said::default() }
    }

    #[test]
    fn another_kind_of_way_is_news_and_a_longer_one_is_not() {
        let desk = Desk::default();
        desk.set_said(said(WayKind::Relayed, 1));
        assert_eq!(desk.newer(0), Some(1));
        desk.set_said(said(WayKind::Relayed, 2));
        assert_eq!(desk.state().version, 1);
        assert_eq!(desk.said(), said(WayKind::Relayed, 2), "it is told with what comes next");
        desk.set_said(said(WayKind::Direct, 2));
        assert_eq!(desk.newer(1), Some(2));
        desk.end(None);
        assert_eq!((desk.newer(2), desk.rest(Duration::from_secs(60))), (None, true));
        assert!(desk.papers(None, Duration::from_secs(60)).is_none());
    }

    #[test]
    fn the_first_failure_is_why() {
        let desk = Desk::default();
        desk.end(Some(Failure::usage("first", "")));
        desk.end(Some(Failure::usage("second", "")));
        assert!(matches!(desk.failure(), Some(Failure::Usage { what, .. }) if what == "first"));
    }
}
