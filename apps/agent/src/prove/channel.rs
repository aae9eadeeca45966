//! The way of a proof's messages to the control plane: one thread sends them in order, while the card computes on.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use proofs::limits::ROUNDS_MAX;
use proofs::session::Channel;

use crate::backoff::Backoff;
use crate::limits::{MESSAGE_TRIES, QUEUE};
use crate::link::{Link, Trouble};

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
    let mut refused: Option<String> = None;
    while let Ok((message, answer_to)) = due.recv() {
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
