//! Whose seats are on a machine, and whether somebody has it alone.

use units::ProjectId;

/// The seats of one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Guest {
    tenant: Option<ProjectId>,
    seats: u32,
    /// Of them, those that bear nobody else beside them.
    alone: u32,
}

/// Whose seats are on a machine. Seats of which nobody said whose they are have one tenant, too: nobody.
///
/// Invariant: each tenant once, in order, with a seat at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guests(Vec<Guest>);

impl Guests {
    /// Whether a seat may join them: one that is alone bears no other tenant, and neither does whoever is alone.
    pub fn admit(&self, tenant: Option<ProjectId>, alone: bool) -> bool {
        let mut others = self.0.iter().filter(|guest| guest.tenant != tenant);
        others.all(|other| !alone && other.alone == 0)
    }

    /// The only tenant there is.
    pub(crate) fn only(&self) -> Option<Option<ProjectId>> {
        match self.0.as_slice() {
            [one] => Some(one.tenant),
            _ => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some seat is alone there.
    pub(crate) fn has_alone(&self) -> bool {
        self.0.iter().any(|guest| guest.alone > 0)
    }

    pub(crate) fn join(&mut self, tenant: Option<ProjectId>, alone: bool) {
        let place = match self.0.binary_search_by_key(&tenant, |guest| guest.tenant) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, Guest { tenant, seats: 0, alone: 0 });
                place
            }
        };
        self.0[place].seats += 1;
        self.0[place].alone += u32::from(alone);
    }

    /// A seat that had joined leaves; says whether it had.
    #[must_use]
    pub(crate) fn leave(&mut self, tenant: Option<ProjectId>, alone: bool) -> bool {
        let Ok(place) = self.0.binary_search_by_key(&tenant, |guest| guest.tenant) else {
            return false;
        };
        let guest = &mut self.0[place];
        if guest.alone < u32::from(alone) {
            return false;
        }
        guest.seats -= 1;
        guest.alone -= u32::from(alone);
        if guest.seats == 0 {
            self.0.remove(place);
        }
        true
    }
}
