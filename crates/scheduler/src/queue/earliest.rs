//! When an order could start: what runs is ended in thought, soonest first, until there is room.

use units::Timestamp;

use super::ends::{End, Ends};
use super::room::Room;

/// When an order could start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Earliest<Seats> {
    /// Then, there.
    At { at: Timestamp, seats: Seats, reclaim: Vec<usize> },
    /// Later than that: more ends would have to be looked at.
    After { at: Timestamp },
    /// Never, as far as ends are known.
    Never,
}

/// When the order, which does not fit now, could start. The room is afterwards as it was.
pub(crate) fn earliest<R: Room>(
    room: &mut R,
    ask: &R::Ask,
    mut ends: Ends<'_, R>,
) -> Earliest<R::Seats> {
    let mut ended = Vec::new();
    let Some(needed) = needed(room, ask, &mut ends, &mut ended) else {
        return ends.cut_at().map_or(Earliest::Never, |at| Earliest::After { at });
    };
    let at = ended[needed - 1].at;
    // What ends at the same moment is gone by then, too.
    let together = ended[needed..].iter().take_while(|end| end.at == at).count();
    ended.truncate(needed + together);
    ended[needed..].iter().for_each(|end| room.give_back(end.seats));
    while let Some(end) = ends.next(room).filter(|end| end.at == at) {
        room.give_back(end.seats);
        ended.push(end);
    }
    let seats = room.find(ask).expect("what fits has seats");
    let reclaim = reclaimed(room, &seats, &ended, at);
    take_all(room, &ended);
    Earliest::At { at, seats, reclaim }
}

/// How many of the ends give it room, at least one; these are given back, and as many as were looked at are in `ended`.
/// None, and nothing given back, when all do not.
fn needed<'a, R: Room>(
    room: &mut R,
    ask: &R::Ask,
    ends: &mut Ends<'a, R>,
    ended: &mut Vec<End<'a, R::Seats>>,
) -> Option<usize> {
    // Twice as many each time, so that few ends cost little; then halves of what was too many.
    let mut too_few = 0;
    loop {
        for _ in 0..too_few.max(1) {
            let Some(end) = ends.next(room) else { break };
            room.give_back(end.seats);
            ended.push(end);
        }
        if ended.len() == too_few {
            take_all(room, ended);
            return None;
        }
        if room.fits(ask) {
            break;
        }
        too_few = ended.len();
    }
    let mut given = ended.len();
    let mut enough = given;
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if given > middle {
            take_all(room, &ended[middle..given]);
        } else {
            ended[given..middle].iter().for_each(|end| room.give_back(end.seats));
        }
        given = middle;
        if room.fits(ask) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    ended[given..enough].iter().for_each(|end| room.give_back(end.seats));
    Some(enough)
}

/// Which of the spot rentals among those that ended by `at` have to be told to: the others end by themselves until
/// then, or can stay beside the seats. Who is wanted back last is the first that may stay.
fn reclaimed<R: Room>(
    room: &mut R,
    seats: &R::Seats,
    ended: &[End<'_, R::Seats>],
    at: Timestamp,
) -> Vec<usize> {
    assert!(room.take(seats), "seats that were found are free");
    let mut stay = Vec::new();
    let mut reclaim = Vec::new();
    for end in ended.iter().rev() {
        let Some((place, by_itself)) = end.told else { continue };
        if by_itself <= at {
            continue;
        }
        if room.take(end.seats) {
            stay.push(end.seats);
        } else {
            reclaim.push(place);
        }
    }
    stay.into_iter().rev().for_each(|seats| room.give_back(seats));
    room.give_back(seats);
    reclaim.reverse();
    reclaim
}

fn take_all<R: Room>(room: &mut R, ends: &[End<'_, R::Seats>]) {
    for end in ends.iter().rev() {
        assert!(room.take(end.seats), "what was given back in thought is free");
    }
}
