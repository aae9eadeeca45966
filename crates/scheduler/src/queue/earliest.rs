//! When an order could start: what runs is ended in thought, soonest first, until there is room.

use units::Timestamp;

use super::room::Room;

/// Something that ends, and gives back what it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a, Seats> {
    pub(crate) at: Timestamp,
    pub(crate) seats: &'a Seats,
    /// When it is told to end: its place among what runs, and when it would have ended by itself.
    pub(crate) told: Option<(usize, Timestamp)>,
}

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

/// When the order could start if these end, which are in order of their time; more may end after `until`. The room is
/// afterwards as it was.
pub(crate) fn earliest<R: Room>(
    room: &mut R,
    ask: &R::Ask,
    ends: &[End<'_, R::Seats>],
    until: Option<Timestamp>,
) -> Earliest<R::Seats> {
    let Some(needed) = needed(room, ask, ends) else {
        return until.map_or(Earliest::Never, |at| Earliest::After { at });
    };
    let at = ends[needed - 1].at;
    let together = ends[needed..].iter().take_while(|end| end.at == at).count();
    let (ended, _) = ends.split_at(needed + together);
    ended[needed..].iter().for_each(|end| room.give_back(end.seats));
    let seats = room.find(ask).expect("what fits has seats");
    let reclaim = reclaimed(room, &seats, ended, at);
    take_all(room, ended);
    Earliest::At { at, seats, reclaim }
}

/// How many of the ends give it room, at least one; these are given back. None, and nothing given back, when all do not.
fn needed<R: Room>(room: &mut R, ask: &R::Ask, ends: &[End<'_, R::Seats>]) -> Option<usize> {
    // Twice as many each time, so that few ends cost little; then halves of what was too many.
    let (mut too_few, mut given) = (0, 0);
    let mut step = 1;
    loop {
        if given == ends.len() {
            take_all(room, ends);
            return None;
        }
        let until = (given + step).min(ends.len());
        ends[given..until].iter().for_each(|end| room.give_back(end.seats));
        given = until;
        if room.fits(ask) {
            break;
        }
        too_few = given;
        step = given;
    }
    let mut enough = given;
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if given > middle {
            take_all(room, &ends[middle..given]);
        } else {
            ends[given..middle].iter().for_each(|end| room.give_back(end.seats));
        }
        given = middle;
        if room.fits(ask) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    ends[given..enough].iter().for_each(|end| room.give_back(end.seats));
    Some(enough)
}

/// Which of the spot rentals among those that ended by `at` have to be told to: the others end by themselves until then,
/// or can stay beside the seats. Who is wanted back last is the first that may stay.
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
