//! Where a rental may go, and by which command.

use control::{Actor, Body, Command, Rental};
use market::Stage;

/// How far a stage is along a rental's life.
pub(super) const fn place(stage: Stage) -> u8 {
    match stage {
        Stage::Quoted { .. } => 0,
        Stage::AwaitingPayment { .. } => 1,
        Stage::Deploying { .. } => 2,
        Stage::Running { .. } => 3,
        Stage::Ending { .. } => 4,
        Stage::Ended { .. } => 5,
    }
}

/// Whether a spot rental was told to go sooner than it was booked for.
pub(super) fn is_warned(rental: &Rental, before: Stage, after: Stage) -> bool {
    let (Stage::Running { since, until }, Stage::Running { since: then, until: sooner }) =
        (before, after)
    else {
        return false;
    };
    let told = rental.order.spot.is_some() && rental.wanted_back.is_some();
    told && since == then && sooner < until
}

/// Which command may move a rental from where to where.
pub(super) const fn may(before: Stage, after: Stage, body: &Body) -> bool {
    use {Command as C, Stage as S};
    let renter = matches!(body.by, Actor::Account(_) | Actor::Operator);
    match (before, after) {
        (S::Quoted { .. }, S::Ended { .. }) => matches!(body.command, C::Wake {}),
        (S::Quoted { .. }, _) => renter && matches!(body.command, C::Rent { .. }),
        (S::AwaitingPayment { .. }, S::Ended { .. }) => {
            matches!(body.command, C::Wake {} | C::EndRental { .. })
        }
        (S::AwaitingPayment { .. }, _) => matches!(
            body.command,
            C::TopUp { .. }
                | C::CardPaid { .. }
                | C::Deposit { .. }
                | C::Transfer { .. }
                | C::Convert { .. }
        ),
        (S::Deploying { .. }, S::Running { .. }) => matches!(body.command, C::Observe { .. }),
        (S::Deploying { .. }, _) => matches!(
            body.command,
            C::Observe { .. } | C::Wake {} | C::EndRental { .. } | C::WorkerSilent { .. }
        ),
        (S::Running { .. }, _) => {
            matches!(body.command, C::Observe { .. } | C::Wake {} | C::EndRental { .. })
        }
        (S::Ending { .. }, _) => matches!(body.command, C::Observe { .. } | C::Wake {}),
        (S::Ended { .. }, _) => false,
    }
}
