//! People, machines, rentals, jobs.

use control::{
    Control, FiltersRecord, Invite, Job, JobStage, Key, Node, OrderRecord, Person, Project, Rental,
    Worker,
};
use data_encoding::HEXLOWER;
use ledger::Holder;
use market::{Currency, DurationType, PriceStep, Stage, Terms, Worked};
use units::{
    AccountId, Credits, FullMinute, InviteId, KeyId, Money, Name, ProjectId, QuoteId, Timestamp,
    WorkerId,
};
use wire::{
    AccountView, Apart, ExtensionPrice, InviteView, JobView, KeyView, Machine, MemberView, Near,
    NodeView, OfferView, Order, PaidView, PayoutView, Price, PriceStepView, ProjectView,
    ReceiptLine, ReceiptView, RentalView, Role, Scope, Time, WorkedView, WorkerView,
};

use super::choices;
use super::onboarding::{machine, word_of};

pub(crate) fn account(state: &Control, id: AccountId, person: &Person) -> AccountView {
    let balances = super::money::balances(state, Holder::Account(id));
    AccountView { id, name: person.name.clone(), email: person.email.clone(), balances }
}

pub(crate) fn project(state: &Control, id: ProjectId, project: &Project) -> ProjectView {
    let purse = state.purse(Holder::Project(id));
    let member = |(account, role): (&AccountId, &control::Role)| MemberView {
        account: *account,
        role: role_view(*role),
    };
    ProjectView {
        id,
        name: project.name.clone(),
        members: project.members.iter().map(member).collect(),
        available: Credits::from_units(purse.available()),
        held: Credits::from_units(purse.held()),
        balances: super::money::balances(state, Holder::Project(id)),
    }
}

const fn role_view(role: control::Role) -> Role {
    match role {
        control::Role::Owner => Role::Owner,
        control::Role::Member => Role::Member,
        control::Role::Viewer => Role::Viewer,
        control::Role::Billing => Role::Billing,
    }
}

pub(crate) const fn role_of(role: Role) -> control::Role {
    match role {
        Role::Owner => control::Role::Owner,
        Role::Member => control::Role::Member,
        Role::Viewer => control::Role::Viewer,
        Role::Billing => control::Role::Billing,
    }
}

const fn scope_view(scope: control::Scope) -> Scope {
    match scope {
        control::Scope::Read => Scope::Read,
        control::Scope::Write => Scope::Write,
        control::Scope::Operator => Scope::Operator,
        control::Scope::Relay => Scope::Relay,
    }
}

pub(crate) const fn scope_of(scope: Scope) -> control::Scope {
    match scope {
        Scope::Read => control::Scope::Read,
        Scope::Write => control::Scope::Write,
        Scope::Operator => control::Scope::Operator,
        Scope::Relay => control::Scope::Relay,
    }
}

pub(crate) fn key(id: KeyId, key: &Key) -> KeyView {
    KeyView {
        id,
        account: key.account,
        label: key.label.clone(),
        scopes: key.scopes.iter().map(|scope| scope_view(*scope)).collect(),
        expires: key.expires.map(Time),
        revoked: key.revoked,
    }
}

pub(crate) fn invite(id: InviteId, invite: &Invite) -> InviteView {
    InviteView {
        id,
        account: invite.account,
        expires: Time(invite.expires),
        used_by: invite.used_by,
        replaces: invite.replaces,
    }
}

pub(crate) fn worker(state: &Control, id: WorkerId, worker: &Worker) -> WorkerView {
    let at = crate::clock::now();
    let seen = state.onboarding(id, at);
    let (word, reason) = standing(worker, seen.as_ref());
    let mut rentals: Vec<_> = worker.nodes.iter().map(|(rental, _)| *rental).collect();
    rentals.dedup();
    WorkerView {
        id,
        name: worker.name.clone(),
        owner: worker.owner,
        state: word.to_owned(),
        reason,
        status: seen.as_ref().map_or_else(String::new, |seen| word_of(&seen.status)),
        readiness: seen.as_ref().map_or_else(String::new, |seen| word_of(&seen.readiness)),
        machine: Machine { certifications: worker.certifications(), ..machine(&worker.machine) },
        free: state.inventory().free(id).unwrap_or_default(),
        rentals,
    }
}

/// Whether a machine takes new rentals, in a word, and why not.
fn standing(
    worker: &Worker,
    seen: Option<&control::OnboardingView>,
) -> (&'static str, Option<String>) {
    let said = |text: &str| Some(text.to_owned());
    if let Some(blocked) = &worker.checks.blocked {
        return ("blocked", Some(blocked.text.clone()));
    }
    if !worker.up {
        let why = "it has not been heard for more than 35 seconds; is its agent running?";
        return ("silent", said(why));
    }
    if worker.paused {
        return ("paused", said("its owner paused it"));
    }
    if let Some(failed) = &worker.checks.failed {
        return ("unverified", Some(failed_reason(failed)));
    }
    if worker.onboarding.is_ready() {
        return ("open", worker.checks.likeness.counts_as.as_ref().map(listed_reason));
    }
    let missing = seen.and_then(|seen| seen.checks.iter().find(|row| !row.check));
    ("pending", missing.map(|row| row.reason.clone()))
}

/// Why a machine that failed a proof takes no rentals.
fn failed_reason(failed: &control::FailedProof) -> String {
    let session = HEXLOWER.encode(&failed.session);
    let reason = failed.reason;
    format!(
        "its verification failed in session {session}: {reason}; it is asked on, and opens when all of it has passed"
    )
}

/// Why a machine is listed as another model than it says.
fn listed_reason(measured: &control::MeasuredAs) -> String {
    let control::MeasuredAs { model, claimed, since } = measured;
    format!(
        "it is listed as {model} since {}: its rates are not those of {claimed}",
        FullMinute(*since)
    )
}

/// A machine that could serve a node; `None` for one that is gone by now.
pub(crate) fn offer(state: &Control, offer: &scheduler::Offer) -> Option<OfferView> {
    let worker = state.worker(offer.worker)?;
    let machine = state.counts_as(worker);
    Some(OfferView {
        worker: offer.worker,
        name: worker.name.clone(),
        free: offer.free,
        gpu_model: machine.gpu_model.clone(),
        vram_mib: machine.vram_mib,
        cpu_model: machine.cpu_model.clone(),
        country: machine.country,
        tier: machine.tier,
        certifications: worker.certifications(),
        node_hour: offer.node_hour,
        nodes: offer.nodes,
    })
}

pub(crate) fn order_record(order: Order) -> OrderRecord {
    OrderRecord {
        nodes: order.nodes,
        each: order.each,
        filters: FiltersRecord {
            gpu_model: order.gpu_model,
            suppliers: order.suppliers,
            countries: order.countries,
            tier_min: order.tier_min,
            certifications: order.certifications,
            node_hour_max: order.node_hour_max,
        },
        pack: order.pack,
        spot: order.spot,
        near: match (order.rtt_max_micros, order.near) {
            (Some(rtt), _) => scheduler::Near::Within(rtt),
            (None, Near::Anywhere) => scheduler::Near::Anywhere,
            (None, Near::Country) => scheduler::Near::Country,
            (None, Near::Site) => scheduler::Near::Site,
        },
        apart: match order.apart {
            Apart::Nothing => scheduler::Apart::Nothing,
            Apart::Suppliers => scheduler::Apart::Suppliers,
            Apart::Sites => scheduler::Apart::Sites,
            Apart::Countries => scheduler::Apart::Countries,
        },
        away_from: order.away_from,
        alone: order.alone,
    }
}

pub(super) fn order(record: &OrderRecord) -> Order {
    let filters = record.filters.clone();
    let (near, rtt_max_micros) = choices::near(record.near);
    Order {
        nodes: record.nodes,
        each: record.each,
        gpu_model: filters.gpu_model,
        suppliers: filters.suppliers,
        countries: filters.countries,
        tier_min: filters.tier_min,
        certifications: filters.certifications,
        node_hour_max: filters.node_hour_max,
        pack: record.pack,
        spot: record.spot,
        near,
        rtt_max_micros,
        apart: choices::apart(record.apart),
        away_from: record.away_from.clone(),
        alone: record.alone,
    }
}

fn price(terms: &Terms) -> Price {
    let hourly = terms.hourly().unwrap_or(Credits::ZERO);
    Price {
        hourly,
        duration: duration(terms.duration).to_owned(),
        duration_bp: terms.duration_bp,
        hours: terms.hours,
        subtotal: hourly.checked_times(u64::from(terms.hours)).unwrap_or(Credits::ZERO),
        renter_fee_bp: terms.renter_fee_bp,
        facilitation_bp: terms.facilitation_bp,
        supplier_fee_bp: terms.supplier_fee_bp,
        payout_bp: terms.payout_bp,
        hold: terms.hold().unwrap_or(Credits::ZERO),
        pay: terms.currency.asset(),
        usd_per_coin: usd_per_coin(terms.currency),
        held: held(terms),
        minimum_minutes: terms.minimum_minutes,
    }
}

const fn duration(unit: DurationType) -> &'static str {
    match unit {
        DurationType::Hourly => "hourly",
        DurationType::Daily => "daily",
        DurationType::Weekly => "weekly",
        DurationType::Monthly => "monthly",
    }
}

const fn usd_per_coin(currency: Currency) -> Option<Credits> {
    match currency {
        Currency::Io { usd_micros_per_coin } => Some(Credits::from_units(usd_micros_per_coin)),
        Currency::Usd | Currency::Usdc => None,
    }
}

fn held(terms: &Terms) -> Money {
    terms.held().unwrap_or(Money::new(terms.currency.asset(), 0))
}

/// What so many more hours of it would cost; `None` when that cannot be written down.
pub(crate) fn extension_price(terms: &Terms, hours: u32) -> Option<ExtensionPrice> {
    let longer = Terms { hours: terms.hours.checked_add(hours)?, ..terms.clone() };
    let (before, after) = (terms.held().ok()?, longer.held().ok()?);
    Some(ExtensionPrice {
        hours,
        subtotal: terms.hourly().ok()?.checked_times(u64::from(hours))?,
        hold: longer.hold().ok()?.checked_sub(terms.hold().ok()?)?,
        held: Money::new(after.asset, after.units.checked_sub(before.units)?),
    })
}

pub(crate) fn rental(state: &Control, rental: &Rental) -> RentalView {
    let (running_since, ended_at) = moments(rental.stage);
    RentalView {
        id: rental.id,
        quote: QuoteId::from_bits(rental.id.bits()),
        project: rental.project,
        name: rental.name.clone(),
        state: rental.stage.text().to_owned(),
        ending: rental.stage.ending().map(|why| why.text().to_owned()),
        reason: rental.reason.clone(),
        wanted_back: rental.wanted_back.map(Time),
        order: order(&rental.order),
        price: price(&rental.terms),
        quoted_at: Time(rental.quoted_at),
        running_since: running_since.map(Time),
        until: rental.stage.expires_at().map(Time),
        ended_at: ended_at.map(Time),
        nodes: (0_u32..)
            .zip(&rental.nodes)
            .map(|(index, it)| node(state, rental, (index, it)))
            .collect(),
        mesh: rental.mesh(),
        worked: rental.worked.iter().map(worked).collect(),
        unfit: super::canaries::unfit(rental),
        receipt: receipt(state, rental),
        refund: super::locks::refund(rental),
    }
}

fn worked(record: &Worked) -> WorkedView {
    let Worked { from, until, minutes, amount, paid } = *record;
    WorkedView { from: Time(from), until: Time(until), minutes, amount, paid }
}

const fn moments(stage: Stage) -> (Option<Timestamp>, Option<Timestamp>) {
    match stage {
        Stage::Running { since, .. } => (Some(since), None),
        Stage::Ended { at, .. } => (None, Some(at)),
        Stage::Quoted { .. }
        | Stage::AwaitingPayment { .. }
        | Stage::Deploying { .. }
        | Stage::Ending { .. } => (None, None),
    }
}

fn node(state: &Control, rental: &Rental, (index, node): (u32, &Node)) -> NodeView {
    let hours = &rental.terms.node_hours;
    let promised = usize::try_from(index).ok().and_then(|index| hours.get(index));
    let node_hour = promised.copied().unwrap_or(node.seat.node_hour);
    NodeView {
        node: index,
        state: node.stage.text().to_owned(),
        worker: node.seat.worker,
        worker_name: worker_name(state, node.seat.worker),
        resources: node.seat.resources,
        gpus: node.seat.gpus.iter().collect(),
        node_hour,
        steps: steps(state, rental, node, node_hour),
        time_lock: super::locks::node_lock(node),
    }
}

/// How a quote's price came about. Prices move every hour: steps that lead elsewhere than to what was promised are not
/// shown.
fn steps(state: &Control, rental: &Rental, node: &Node, node_hour: Credits) -> Vec<PriceStepView> {
    let Stage::Quoted { .. } = rental.stage else { return Vec::new() };
    let worker = state.worker(node.seat.worker);
    let Some(quote) = worker.and_then(|worker| state.worker_price(worker)) else {
        return Vec::new();
    };
    let cards = u64::from(node.seat.resources.gpus);
    let (price, spot) = match rental.order.spot {
        Some(_) => (quote.spot_price.checked_times(cards), quote.spot.as_slice()),
        None => {
            let alone = quote.price.checked_times(cards);
            (alone.map(|alone| alone.share_floor(rental.terms.duration_bp)), &[][..])
        }
    };
    if price != Some(node_hour) {
        return Vec::new();
    }
    let view = |step: &PriceStep| PriceStepView {
        name: step.name.text().to_owned(),
        from: step.from,
        to: step.to,
        why: step.why.to_string(),
    };
    quote.on_demand.iter().chain(spot).map(view).collect()
}

fn worker_name(state: &Control, id: WorkerId) -> Name {
    let gone = || "gone".parse().expect("a name");
    state.worker(id).map_or_else(gone, |worker| worker.name.clone())
}

pub(crate) fn receipt(state: &Control, rental: &Rental) -> Option<ReceiptView> {
    let receipt = rental.receipt()?;
    let line = |(node, line): (u32, &market::Line)| ReceiptLine {
        node,
        worker: line.worker,
        worker_name: worker_name(state, line.worker),
        supplier: line.supplier,
        node_hour: line.node_hour,
        minutes_served: line.minutes_served,
        minutes_charged: line.minutes_charged,
        charge: line.charge,
        supplier_fee: line.supplier_fee,
        payout_fee: line.payout_fee,
        payout: line.payout,
    };
    Some(ReceiptView {
        lines: (0_u32..).zip(&receipt.lines).map(line).collect(),
        subtotal: receipt.subtotal,
        renter_fee: receipt.renter_fee,
        facilitation_fee: receipt.facilitation_fee,
        charged: receipt.charged,
        held: receipt.held,
        returned: receipt.returned,
        fees: receipt.fees,
        paid: paid(rental.paid()?),
    })
}

fn paid(paid: market::Paid) -> PaidView {
    let market::Paid { held, charged, payouts, fees, returned } = paid;
    let payout = |(supplier, amount)| PayoutView { supplier, amount };
    let payouts = payouts.into_iter().map(payout).collect();
    PaidView { held, charged, payouts, fees, returned }
}

pub(crate) fn job(job: &Job) -> JobView {
    let message = match &job.stage {
        JobStage::Failed { message } => Some(message.clone()),
        JobStage::Pending | JobStage::Running | JobStage::Succeeded | JobStage::Stopped => None,
    };
    JobView {
        id: job.id,
        rental: job.rental,
        entrypoint: job.entrypoint.clone(),
        package: job.package,
        state: job.stage.text().to_owned(),
        message,
        stop_asked: job.stop_asked,
        submitted_at: Time(job.submitted_at),
        ended_at: job.ended_at.map(Time),
    }
}
