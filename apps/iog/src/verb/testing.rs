//! A rental for tests: three nodes for an hour, ended after a few minutes.

use units::{
    AccountId, Asset, Credits, Money, ProjectId, QuoteId, RentalId, Resources, Timestamp, WorkerId,
};
use wire::{
    NodeView, Order, PaidView, PayoutView, Price, ReceiptLine, ReceiptView, RentalView, Time,
};

fn usd(text: &str) -> Credits {
    text.parse().unwrap()
}

/// A moment some minutes after a fixed one.
pub(crate) fn at(minutes: u64) -> Time {
    Time(Timestamp::from_millis(1_795_363_800_000 + minutes * 60_000))
}

fn node(node: u32, state: &str) -> NodeView {
    NodeView {
        node,
        state: state.to_owned(),
        worker: WorkerId::from_bits(u128::from(node) + 1),
        worker_name: format!("worker-{}", node + 1).parse().unwrap(),
        resources: Resources { gpus: 0, vcpus: 1, memory_mib: 1024, disk_mib: 1024 },
        gpus: Vec::new(),
        node_hour: usd("0.01"),
        steps: Vec::new(),
        time_lock: None,
    }
}

/// A quote.
pub(crate) fn quoted() -> RentalView {
    RentalView {
        id: RentalId::from_bits(7),
        quote: QuoteId::from_bits(7),
        project: ProjectId::from_bits(7),
        name: None,
        state: "quoted".to_owned(),
        ending: None,
        reason: None,
        wanted_back: None,
        order: Order { nodes: 3, each: node(0, "waiting").resources, ..Order::default() },
        price: Price {
            hourly: usd("0.03"),
            duration: "hourly".to_owned(),
            duration_bp: 10_000,
            hours: 1,
            subtotal: usd("0.03"),
            renter_fee_bp: 25,
            facilitation_bp: 200,
            supplier_fee_bp: 25,
            payout_bp: 0,
            hold: usd("0.030675"),
            pay: Asset::Usd,
            usd_per_coin: None,
            held: usd("0.030675").into(),
            minimum_minutes: 1,
        },
        quoted_at: at(0),
        running_since: None,
        until: Some(at(5)),
        ended_at: None,
        nodes: (0..3).map(|number| node(number, "waiting")).collect(),
        mesh: None,
        worked: Vec::new(),
        unfit: None,
        receipt: None,
        refund: None,
    }
}

/// The same, running.
pub(crate) fn running() -> RentalView {
    RentalView {
        name: Some("first".parse().unwrap()),
        state: "running".to_owned(),
        running_since: Some(at(1)),
        until: Some(at(61)),
        nodes: (0..3).map(|number| node(number, "ready")).collect(),
        ..quoted()
    }
}

/// The same, ended after seven minutes, and its receipt.
pub(crate) fn settled() -> (RentalView, ReceiptView) {
    let line = |number: u32| ReceiptLine {
        node: number,
        worker: node(number, "").worker,
        worker_name: node(number, "").worker_name,
        supplier: AccountId::from_bits(3),
        node_hour: usd("0.01"),
        minutes_served: 7,
        minutes_charged: 7,
        charge: usd("0.001166"),
        supplier_fee: usd("0.000002"),
        payout_fee: usd("0"),
        payout: usd("0.001164"),
    };
    let receipt = ReceiptView {
        lines: (0..3).map(line).collect(),
        subtotal: usd("0.003498"),
        renter_fee: usd("0.000008"),
        facilitation_fee: usd("0.000069"),
        charged: usd("0.003575"),
        held: usd("0.030675"),
        returned: usd("0.027100"),
        fees: usd("0.000083"),
        paid: PaidView {
            held: usd("0.030675").into(),
            charged: usd("0.003575").into(),
            payouts: vec![PayoutView {
                supplier: AccountId::from_bits(3),
                amount: usd("0.003492").into(),
            }],
            fees: usd("0.000083").into(),
            returned: usd("0.027100").into(),
        },
    };
    let rental = RentalView {
        state: "ended".to_owned(),
        ending: Some("completed".to_owned()),
        until: None,
        ended_at: Some(at(8)),
        receipt: Some(receipt.clone()),
        ..running()
    };
    (rental, receipt)
}

/// The same, paid in coins at a quarter of a dollar each: no facilitation fee.
pub(crate) fn settled_in_coins() -> (RentalView, ReceiptView) {
    let io = |text: &str| format!("{text} IO").parse::<Money>().unwrap();
    let (rental, receipt) = settled();
    let paid = PaidView {
        held: io("0.1203"),
        charged: io("0.014024"),
        payouts: vec![PayoutView { supplier: AccountId::from_bits(3), amount: io("0.013968") }],
        fees: io("0.000056"),
        returned: io("0.106276"),
    };
    let receipt = ReceiptView {
        facilitation_fee: usd("0"),
        charged: usd("0.003506"),
        held: usd("0.030075"),
        returned: usd("0.026569"),
        fees: usd("0.000014"),
        paid,
        ..receipt
    };
    let price = Price {
        facilitation_bp: 0,
        hold: usd("0.030075"),
        pay: Asset::Io,
        usd_per_coin: Some(usd("0.25")),
        held: io("0.1203"),
        ..rental.price.clone()
    };
    (RentalView { price, receipt: Some(receipt.clone()), ..rental }, receipt)
}
