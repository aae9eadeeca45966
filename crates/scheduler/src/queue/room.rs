//! What orders are put in, as far as a queue has to know.

/// Kinds of things that are shared between tenants: cards, processors, memory, disk.
pub const KINDS: usize = 4;

/// How much of each kind, in any unit that is the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts(pub [u64; KINDS]);

/// A share of everything, in parts.
const WHOLE: u128 = 1_000_000_000_000;

impl Amounts {
    /// All of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind].saturating_add(other.0[kind])))
    }

    /// The largest share it has of any kind, in millionths of a millionth of all. Of what there is none of, nobody has
    /// a share.
    pub(crate) fn dominant_share(&self, whole: &Self) -> u128 {
        let shares = self.0.iter().zip(&whole.0);
        let share = |(has, all): (&u64, &u64)| u128::from(*has) * WHOLE / u128::from(*all).max(1);
        shares.filter(|(_, all)| **all > 0).map(share).max().unwrap_or_default()
    }
}

/// What orders are put in.
///
/// What is free grows when seats are given back and shrinks when they are taken, and an order that fits also fits when
/// more is free: a forecast rests on it.
pub trait Room {
    /// What is asked for. Two that are equal fit in the same places.
    type Ask: PartialEq;
    /// What an order has once it runs.
    type Seats: Clone;

    /// How much of everything an order takes, whatever seats it gets.
    fn amounts(&self, ask: &Self::Ask) -> Amounts;

    /// The seats it would get now. Changes nothing that can be seen.
    fn find(&mut self, ask: &Self::Ask) -> Option<Self::Seats>;

    /// Whether there are seats for it now.
    fn fits(&mut self, ask: &Self::Ask) -> bool {
        self.find(ask).is_some()
    }

    /// Takes all of these seats if all are free, or nothing.
    fn take(&mut self, seats: &Self::Seats) -> bool;

    /// Frees seats that were taken, by whomever.
    fn give_back(&mut self, seats: &Self::Seats);

    /// Takes of these seats what is free, however little, and says what that was: seats that can be given back.
    fn hold(&mut self, seats: &Self::Seats) -> Self::Seats;

    /// Whether it could be of use to the order that these seats get free. False for seats that could not be
    /// [taken](Self::take) again if they were given back.
    fn helps(&self, ask: &Self::Ask, seats: &Self::Seats) -> bool;
}
