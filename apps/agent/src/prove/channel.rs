//! The way of a proof's messages to the control plane: one thread sends them in order, while the card computes on.
//!
//! Roots are told several at a time. Only when the last one comes is timed: so nothing is lost by waiting for some, and
//! neither is a distant card timed by as many round trips as it has rounds, nor has the control plane as many requests.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use proofs::limits::ROUNDS_MAX;
use proofs::session::Channel;
use proofs::together::{ROOTS_TOGETHER_MAX, is_root};

use crate::backoff::Backoff;
use crate::limits::{MESSAGE_TRIES, QUEUE};
use crate::link::{Link, Trouble};

/// Roots for which it is waited, to tell them together: few enough that the last are told in a moment on any line. What
/// piled up meanwhile, on a line that is slower than the card, goes with them.
const ROOTS_TOGETHER: usize = 16;

const _: () = assert!(ROOTS_TOGETHER <= ROOTS_TOGETHER_MAX, "as many as the control plane takes");

/// What came back for a message.
type Answer = Result<Option<Vec<u8>>, String>;

/// A message, and where its answer goes if somebody waits for it.
type Errand = (Vec<u8>, Option<SyncSender<Answer>>);

/// Takes messages to the thread that sends them.
#[derive(Debug)]
pub(super) struct Courier {
    errands: SyncSender<Errand>,
}

const GONE: &str = "what sends messages has stopped";

impl Courier {
    /// Lends a courier to `work`, and ends with it.
    pub(super) fn with<T>(link: &Link, work: impl FnOnce(&mut dyn Channel) -> T) -> T {
        let (errands, due) = sync_channel(QUEUE.max(usize::from(ROUNDS_MAX)));
        thread::scope(|scope| {
            scope.spawn(move || deliver(link, &due));
            work(&mut Self { errands })
        })
    }
}

/// Sends what is due, until nobody is there to say more. After one message that was refused nothing more is sent:
/// whatever follows would be out of place.
fn deliver(link: &Link, due: &Receiver<Errand>) {
    let (mut refused, mut kept) = (None::<String>, None);
    while let Some((message, answer_to)) = next(due, &mut kept) {
        let answer = match &refused {
            Some(why) => Err(why.clone()),
            None => send(link, &message),
        };
        if let Err(why) = &answer {
            refused = Some(why.clone());
        }
        if let Some(answer_to) = answer_to {
            // Whoever asked may have stopped.
            let _ = answer_to.send(answer);
        }
    }
}

/// What is sent next: one errand, or roots up to one whose answer is waited for. `kept` is what was taken and did not
/// belong to them.
fn next(due: &Receiver<Errand>, kept: &mut Option<Errand>) -> Option<Errand> {
    let (mut told, mut answer_to) = kept.take().or_else(|| due.recv().ok())?;
    let mut roots = usize::from(is_root(&told));
    while (1..ROOTS_TOGETHER_MAX).contains(&roots) && answer_to.is_none() {
        let more = if roots < ROOTS_TOGETHER { due.recv().ok() } else { due.try_recv().ok() };
        let Some((message, answer)) = more else { break };
        if !is_root(&message) {
            *kept = Some((message, answer));
            break;
        }
        told.extend(message);
        (answer_to, roots) = (answer, roots + 1);
    }
    Some((told, answer_to))
}

/// Sends a message, and once more when no answer came: the control plane answers the same as before.
fn send(link: &Link, message: &[u8]) -> Answer {
    let mut backoff = Backoff::default();
    let mut tries = 1;
    loop {
        match link.result(message) {
            Ok(answer) => return Ok(answer),
            Err(Trouble::Weather(_)) if tries < MESSAGE_TRIES => {
                tries += 1;
                thread::sleep(backoff.next());
            }
            Err(trouble) => return Err(trouble.to_string()),
        }
    }
}

impl Channel for Courier {
    fn tell(&mut self, message: &[u8]) -> Answer {
        let (answer_to, answer) = sync_channel(1);
        let errand = (message.to_vec(), Some(answer_to));
        self.errands.send(errand).map_err(|_| GONE.to_owned())?;
        answer.recv().map_err(|_| GONE.to_owned())?
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        self.errands.send((message.to_vec(), None)).map_err(|_| GONE.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use proofs::message::{Body, Chain};
    use proofs::together::messages;

    use super::*;

    fn said(body: &Body<'_>) -> Vec<u8> {
        Chain::new([1; 16], 0).say(body, &SigningKey::from_bytes(&[2; 32]))
    }

    /// How many messages go in each request, of these: which are roots, and for which an answer is waited.
    fn lengths(queue: &[(bool, bool)]) -> Vec<usize> {
        let root = said(&Body::Root { task: 0, round: 1, root: [3; 32] });
        let other = said(&Body::Filled { task: 0 });
        let (errands, due) = sync_channel(200);
        for (is_root, is_asked) in queue {
            let message = if *is_root { &root } else { &other };
            errands.send((message.clone(), is_asked.then(|| sync_channel(1).0))).unwrap();
        }
        drop(errands);
        let mut kept = None;
        let told = std::iter::from_fn(|| next(&due, &mut kept));
        told.map(|(told, _)| messages(&told).len()).collect()
    }

    #[test]
    fn roots_go_together_and_nothing_else_does() {
        let (root, last, other) = ((true, false), (true, true), (false, true));
        for (queue, expected) in [
            (vec![last], vec![1]),
            (vec![root, root, last], vec![3]),
            (vec![last, root, last], vec![1, 2]),
            (vec![root, other, root, last], vec![1, 1, 2]),
            (vec![other, other], vec![1, 1]),
            ([vec![root; 39], vec![last]].concat(), vec![40]),
            ([vec![root; 79], vec![last]].concat(), vec![64, 16]),
        ] {
            assert_eq!(lengths(&queue), expected, "{queue:?}");
        }
    }
}
