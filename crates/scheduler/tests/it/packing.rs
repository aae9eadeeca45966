//! Packing hosts: what always holds, whatever the policy; and what ours is for.

use proptest::prelude::*;
use scheduler::packing::{
    BestFit, Chance, DotProduct, Foresight, Gradient, Host, Model, Models, Need, NotANeed, Outlook,
    Packer, Policy, Rating, Ratings, Spot,
};

#[test]
fn a_need_is_of_cards_that_there_can_be() {
    let need = Need::of_processors(1_000, 1_024);
    let check = |asked: Result<Need, NotANeed>, expected: &str| {
        assert_eq!(asked.expect_err("it is none").to_string(), expected);
    };
    check(need.with_share(0, Models::ANY), "0 thousandths are no share of a card: say 1 to 1000");
    check(
        need.with_share(1_001, Models::ANY),
        "1001 thousandths are no share of a card: say 1 to 1000",
    );
    check(need.with_cards(17, Models::ANY), "17 cards of one host are more than 16");
    assert_eq!(need.with_cards(8, Models::ANY).map(|need| need.demand_milli()), Ok(8_000));
}

#[test]
fn shares_that_fill_a_card_meet_on_it() {
    let orders: Vec<Need> = (0..400).map(|place| share([300, 700, 700, 300][place % 4])).collect();
    let mut packer = Packer::new((0..100).map(|_| host(16_000, 2, 0)), Foresight::new());
    let placed = orders.iter().filter(|order| packer.place(order).is_some()).count();
    // Of the first few some stand where nothing fits beside them.
    assert!(placed >= 395, "{placed} of 400 found room, which have it if each 300 is beside a 700");
}

#[test]
fn models_that_others_insist_on_are_left_to_them() {
    let rare = Models::NONE.and(model(1));
    let mut packer = Packer::new(
        (0..400).map(|place| host(64_000, 4, u8::from(place % 2 == 0))),
        Foresight::new(),
    );
    let orders = (0..1_500).map(|place| whole(1, if place % 2 == 0 { rare } else { Models::ANY }));
    let placed = orders.filter(|order| packer.place(order).is_some()).count();
    // Of the first few dozen some take what was not yet known to be rare.
    assert!(placed >= 1_470, "{placed} of 1,500 found room; 1,600 cards are there");
}

#[test]
fn gangs_find_whole_hosts_between_single_cards() {
    let mut packer = Packer::new((0..40).map(|_| host(96_000, 8, 0)), Foresight::new());
    let orders: Vec<Need> =
        (0..120).map(|place| whole(if place % 6 == 0 { 8 } else { 1 }, Models::ANY)).collect();
    let refused: Vec<&Need> = orders.iter().filter(|order| packer.place(order).is_none()).collect();
    assert_eq!(refused, Vec::<&Need>::new());
}

#[test]
fn an_outlook_keeps_whole_hosts_whole_and_fills_cards() {
    let mut outlook = Outlook::default();
    let (empty, mut begun) = (host(96_000, 8, 0), host(96_000, 8, 0));
    let spot = begun.spot(&whole(1, Models::ANY), 0);
    begun.take(&whole(1, Models::ANY), spot);
    assert_eq!(outlook.loss(&empty, &whole(1, Models::ANY)), 0, "nothing was learnt");
    (0..60).for_each(|place| outlook.learn(whole(if place % 6 == 0 { 8 } else { 1 }, Models::ANY)));
    let loss = |host: &Host| outlook.loss(host, &whole(1, Models::ANY));
    assert!(loss(&begun) < loss(&empty), "{} and {}", loss(&begun), loss(&empty));
}

#[test]
fn an_outlook_that_makes_no_sense_is_not_read() {
    let check = |text: &str, expected: &str| {
        let read = serde_json::from_str::<Outlook>(text).expect_err("it is none");
        assert!(read.to_string().starts_with(expected), "{read}");
    };
    let none = r#""kinds":[],"recent":[],"futures":[]"#;
    check(
        &format!(r#"{{"came":7,"next_lesson":7,{none}}}"#),
        "after 7 orders the next lesson cannot be at 7",
    );
    check(
        r#"{"came":1,"next_lesson":5,"kinds":[],"recent":[3],"futures":[]}"#,
        "there is no kind 3",
    );
    check(
        r#"{"came":1,"next_lesson":5,"kinds":[],"recent":[],"futures":[0]}"#,
        "1 orders are no futures",
    );
    let kind = r#"{"cpu_milli":0,"memory_mib":0,"cards":17,"card_milli":1000,"models":1}"#;
    check(
        &format!(r#"{{"came":1,"next_lesson":5,"kinds":[{kind}],"recent":[],"futures":[]}}"#),
        "17 cards of one host are more than 16",
    );
}

proptest! {
    #[test]
    fn an_outlook_that_is_read_back_goes_on_as_it_was(world in worlds()) {
        let World { hosts, orders } = world;
        let mut outlook = Outlook::default();
        for (place, order) in orders.iter().enumerate() {
            outlook.learn(*order);
            if place % 7 == 0 {
                let written = serde_json::to_string(&outlook).unwrap();
                let read: Outlook = serde_json::from_str(&written).unwrap();
                prop_assert_eq!(&read, &outlook);
                for host in &hosts {
                    prop_assert_eq!(read.loss(host, order), outlook.loss(host, order));
                }
                outlook = read;
            }
        }
    }

    #[test]
    fn an_order_is_refused_only_where_it_fits_nowhere(world in worlds()) {
        let World { hosts, orders } = world;
        only_where_it_fits(&hosts, &orders, Foresight::new());
        only_where_it_fits(&hosts, &orders, Gradient::of(&orders));
        only_where_it_fits(&hosts, &orders, BestFit);
        only_where_it_fits(&hosts, &orders, DotProduct);
        only_where_it_fits(&hosts, &orders, Chance::new(1));
    }

    #[test]
    fn what_is_remembered_of_a_few_hosts_changes_no_choice(world in worlds()) {
        let World { hosts, orders } = world;
        prop_assert_eq!(spots(&hosts, &orders, Foresight::new()), spots(&hosts, &orders, Forgetful(Foresight::new())));
        let gradient = Gradient::of(&orders);
        prop_assert_eq!(spots(&hosts, &orders, gradient.clone()), spots(&hosts, &orders, Forgetful(gradient)));
    }
}

fn only_where_it_fits<P: Policy>(hosts: &[Host], orders: &[Need], policy: P) {
    let mut packer = Packer::new(hosts.iter().copied(), policy);
    let empty = packer.hosts().to_vec();
    let mut on: Vec<(Need, Spot)> = Vec::new();
    for order in orders {
        let before = packer.hosts().to_vec();
        let fits = before.iter().any(|host| host.fits(order));
        let placed = packer.place(order);
        assert_eq!(placed.is_some(), fits);
        match placed {
            Some(spot) => {
                let free =
                    |hosts: &[Host]| hosts.iter().map(|host| host.cards.sum_milli()).sum::<u32>();
                assert_eq!(free(&before) - free(packer.hosts()), order.demand_milli());
                assert_eq!(spot.cards.count_ones(), u32::from(order.cards()));
                on.push((*order, spot));
            }
            None => assert_eq!(before, packer.hosts()),
        }
    }
    on.iter().for_each(|(order, spot)| packer.give_back(order, *spot));
    assert_eq!(packer.hosts(), empty);
}

fn spots<P: Policy>(hosts: &[Host], orders: &[Need], policy: P) -> Vec<Option<Spot>> {
    let mut packer = Packer::new(hosts.iter().copied(), policy);
    let mut spots = Vec::new();
    for order in orders {
        spots.push(packer.place(order));
        // One in three ends at once, so that hosts also change by what they get back.
        if let (Some(Some(spot)), true) = (spots.last(), spots.len() % 3 == 0) {
            packer.give_back(order, *spot);
        }
    }
    spots
}

/// A policy whose ratings are asked for anew each time.
struct Forgetful<P>(P);

impl<P: Policy> Policy for Forgetful<P> {
    const RATED_AT_ONCE: usize = P::RATED_AT_ONCE;

    fn on_order(&mut self, need: &Need, hosts: &[Host]) -> Ratings {
        self.0.on_order(need, hosts);
        Ratings::Void
    }

    fn on_change(&mut self, before: &Host, after: &Host) {
        self.0.on_change(before, after);
    }

    fn rate(&mut self, host: &Host, need: &Need) -> Rating {
        self.0.rate(host, need)
    }

    fn surcharge(&self, host: &Host, need: &Need, rating: &Rating) -> i64 {
        self.0.surcharge(host, need, rating)
    }
}

#[derive(Clone, Debug)]
struct World {
    hosts: Vec<Host>,
    orders: Vec<Need>,
}

fn worlds() -> impl Strategy<Value = World> {
    let hosts = prop::collection::vec((1..=4_u32, 0..=4_u8, 0..3_u8), 1..6);
    let hosts = hosts.prop_map(|hosts| {
        hosts.iter().map(|(cpus, cards, model)| host(cpus * 8_000, *cards, *model)).collect()
    });
    (hosts, prop::collection::vec(needs(), 1..90))
        .prop_map(|(hosts, orders)| World { hosts, orders })
}

fn needs() -> impl Strategy<Value = Need> {
    let models = prop_oneof![
        3 => Just(Models::ANY),
        1 => Just(Models::NONE.and(model(1))),
        1 => Just(Models::NONE.and(model(0)).and(model(2))),
    ];
    let cards = prop_oneof![Just(0_u32), Just(300), Just(700), Just(1_000), Just(2_000)];
    (0..3_u32, cards, models).prop_map(|(cpus, milli, models)| {
        let need = Need::of_processors(cpus * 2_000, 1_024);
        match milli {
            0 => need,
            1..1_000 => need.with_share(milli, models).unwrap(),
            milli => need.with_cards(milli / 1_000, models).unwrap(),
        }
    })
}

fn host(cpu_milli: u32, cards: u8, number: u8) -> Host {
    Host::new(cpu_milli, 65_536, cards, model(number)).unwrap()
}

fn model(number: u8) -> Model {
    Model::of(number).unwrap()
}

fn share(milli: u32) -> Need {
    Need::of_processors(1_000, 1_024).with_share(milli, Models::ANY).unwrap()
}

fn whole(cards: u32, models: Models) -> Need {
    Need::of_processors(cards * 4_000, cards * 1_024).with_cards(cards, models).unwrap()
}
