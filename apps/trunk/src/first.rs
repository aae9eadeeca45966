//! Opens a stream over whichever of several lines leads to a service first.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tunnel::Open;

use crate::line::{Line, Unopened};
use crate::stream::Stream;

/// When a line has not answered for so long, the next one is asked, too: longer than a round trip to most places, and
/// so short that three relays are asked within a second.
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Opens a stream over the first of these lines that takes it, and says which.
///
/// The lines are asked in their order; one that does not answer soon does not hold up the others, and who answers late
/// is told that it is too late.
///
/// # Errors
/// What was said last, if none takes it: a refusal rather than a silence.
pub async fn open_first(lines: &[Line], open: &Open) -> Result<(usize, Stream), Unopened> {
    let mut asked = JoinSet::new();
    let mut left = lines.iter().cloned().enumerate();
    let mut said = Unopened::Broke;
    loop {
        if let Some((at, line)) = left.next() {
            let open = open.clone();
            asked.spawn(async move { (at, line.open(&open, None).await) });
        } else if asked.is_empty() {
            return Err(said);
        }
        let answer = tokio::select! {
            Some(answer) = asked.join_next() => answer,
            () = sleep(NEXT_AFTER), if left.len() > 0 => continue,
        };
        match answer {
            Ok((at, Ok(stream))) => return Ok((at, stream)),
            Ok((_, Err(Unopened::Broke))) | Err(_) => {}
            Ok((_, Err(why @ (Unopened::Refused(_) | Unopened::Full)))) => said = why,
        }
    }
}
