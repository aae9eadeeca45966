//! What dynamic prices promise: bounds, directions, order, and how little one account can move.

use std::collections::BTreeMap;

use market::{
    Observation, PriceKey, PriceQuote, Pricing, PricingRefusal, PricingRules, Region, SpotRental,
    StepName, leaves_at, outbid, reclaim,
};
use proptest::prelude::*;
use units::{AccountId, Country, Credits, Hour, MINUTE, RentalId, Timestamp};

/// So large that a unit of it is far below every bound that is tested.
const BASE: Credits = Credits::from_units(1_000_000_000_000);

fn account(number: u8) -> AccountId {
    AccountId::from_bits(number.into())
}

fn key() -> PriceKey {
    "medium/europe/-/NVIDIA H100 PCIe".parse().expect("a well formed key")
}

/// One hour in small numbers: suppliers with free cards, rentals, and those who were turned away.
#[derive(Clone, Debug, Default)]
struct Day {
    free: Vec<(u8, u8)>,
    rented: Vec<(u8, u8, u8)>,
    refused: Vec<(u8, u8)>,
}

impl Day {
    fn seen(&self) -> Observation {
        let minutes = |cards: u8| u64::from(cards) * 60;
        let mut seen = Observation::default();
        self.free.iter().for_each(|(who, cards)| seen.free(account(*who), minutes(*cards)));
        for (supplier, renter, cards) in &self.rented {
            seen.rented(account(*supplier), account(100 + renter), minutes(*cards));
        }
        self.refused
            .iter()
            .for_each(|(who, cards)| seen.refused(account(100 + who), minutes(*cards)));
        seen
    }
}

prop_compose! {
    fn day()(
        free in prop::collection::vec((0_u8..12, 0_u8..30), 0..14),
        rented in prop::collection::vec((0_u8..12, 0_u8..10, 0_u8..30), 0..14),
        refused in prop::collection::vec((0_u8..10, 0_u8..60), 0..5),
    ) -> Day {
        Day { free, rented, refused }
    }
}

prop_compose! {
    fn rules()(
        target in 1_000_u16..9_900, gain in 0_u16..40_000, step in (1_u16..3_000, 1_u16..3_000),
        limits in (1_u16..12_000, 0_u16..40_000), windows in (1_u16..9, 0_u16..30),
        memory in (1_u16..5, 1_u16..50), shares in (1_u16..=10_000, 1_u16..=10_000, 1_u16..=10_000),
        refused in (0_u16..2_000, 0_u16..8_000), thick_cards in 1_u32..50,
        spot in (0_u16..5_000, 0_u16..5_000, 0_u16..20_000),
    ) -> PricingRules {
        PricingRules {
            target_utilisation_bp: target,
            gain_bp: gain,
            rise_max_bp: step.0,
            fall_max_bp: step.1,
            floor_bp: limits.0,
            ceiling_bp: limits.0 + limits.1,
            short_window_hours: windows.0,
            long_window_hours: windows.0 + windows.1,
            arrival_window_hours: memory.0,
            withdrawal_window_hours: memory.1,
            supplier_swing_max_bp: shares.0,
            supplier_share_max_bp: shares.1,
            renter_share_max_bp: shares.2,
            refused_each_max_bp: refused.0,
            refused_all_max_bp: refused.0 + refused.1,
            thick_cards,
            spot_discount_min_bp: spot.0,
            spot_discount_max_bp: spot.0 + spot.1,
            spot_floor_bp: spot.2,
            ..PricingRules::default()
        }
    }
}

/// Rules by which a price shows an hour's pressure at once and unbounded, and everything counts in full.
fn prompt() -> PricingRules {
    PricingRules {
        gain_bp: 10_000,
        rise_max_bp: 10_000,
        fall_max_bp: 9_999,
        floor_bp: 1,
        ceiling_bp: u16::MAX,
        short_window_hours: 1,
        long_window_hours: 1,
        arrival_window_hours: 1,
        thick_cards: 1,
        ..PricingRules::default()
    }
}

fn after(days: &[Observation], rules: &PricingRules) -> Pricing {
    let mut pricing = Pricing::default();
    for (hour, seen) in (1..).zip(days) {
        step(&mut pricing, hour, seen, rules);
    }
    pricing
}

fn step(pricing: &mut Pricing, hour: u32, seen: &Observation, rules: &PricingRules) {
    let seen = BTreeMap::from([(key(), seen.clone())]);
    pricing.step(Hour::from_number(hour), &seen, rules).expect("hours go forward");
}

fn quote(pricing: &Pricing, rules: &PricingRules) -> PriceQuote {
    pricing.quote(&key(), BASE, rules)
}

/// What is quoted after these days and then this one.
fn then(days: &[Day], last: &Observation, rules: &PricingRules) -> PriceQuote {
    let mut all: Vec<Observation> = days.iter().map(Day::seen).collect();
    all.push(last.clone());
    quote(&after(&all, rules), rules)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_price_keeps_its_bounds_and_its_step(
        days in prop::collection::vec(day(), 1..12), rules in rules(),
    ) {
        rules.check().unwrap();
        let mut pricing = Pricing::default();
        let mut last: Option<u64> = None;
        for (hour, day) in (1..).zip(&days) {
            step(&mut pricing, hour, &day.seen(), &rules);
            pricing.audit().unwrap();
            let quote = quote(&pricing, &rules);
            let price = quote.price.units();
            let of_base = |bp: u16| BASE.share_floor(bp).units();
            let ceiling = BASE.units() / 10_000 * u64::from(rules.ceiling_bp);
            prop_assert!((of_base(rules.floor_bp)..=ceiling).contains(&price));
            prop_assert!(quote.spot_price <= quote.price);
            if let Some(last) = last.filter(|_| pricing.keys().next().is_some()) {
                let part = |bp: u16| u128::from(last) * u128::from(bp) / 10_000;
                prop_assert!(u128::from(price) <= u128::from(last) + part(rules.rise_max_bp));
                // A millionth of the base price is the last digit that is kept.
                prop_assert!(u128::from(price) + part(rules.fall_max_bp) + 1_000_000 >= u128::from(last));
            }
            last = pricing.keys().next().map(|_| price);
        }
    }

    #[test]
    fn more_demand_never_makes_it_cheaper(
        days in prop::collection::vec(day(), 0..6), last in day(), rules in rules(),
        who in 0_u8..12, renter in 0_u8..10, cards in 1_u8..30,
    ) {
        let before = then(&days, &last.seen(), &rules);
        let mut more = last.clone();
        more.refused.push((renter, cards));
        let refused = then(&days, &more.seen(), &rules);
        prop_assert!(refused.price >= before.price && refused.spot_price >= before.spot_price);
        // The same cards, once free and once rented.
        let (mut free, mut rented) = (last.clone(), last);
        free.free.push((who, cards));
        rented.rented.push((who, renter, cards));
        let (free, rented) = (then(&days, &free.seen(), &rules), then(&days, &rented.seen(), &rules));
        prop_assert!(rented.price >= free.price && rented.spot_price >= free.spot_price);
    }

    #[test]
    fn more_supply_never_makes_it_dearer(
        days in prop::collection::vec(day(), 0..6), last in day(), rules in rules(),
        who in 0_u8..14, cards in 1_u8..60,
    ) {
        let before = then(&days, &last.seen(), &rules);
        let mut more = last;
        more.free.push((who, cards));
        let after = then(&days, &more.seen(), &rules);
        prop_assert!(after.price <= before.price && after.spot_price <= before.spot_price);
    }

    #[test]
    fn the_order_of_telling_does_not_matter(
        days in prop::collection::vec(day(), 1..6), rules in rules(), turn in 0_usize..14,
    ) {
        let turned = |day: &Day| {
            let mut day = day.clone();
            day.free.reverse();
            let turn = turn.min(day.rented.len());
            day.rented.rotate_left(turn);
            day.refused.reverse();
            day.seen()
        };
        let one: Vec<_> = days.iter().map(Day::seen).collect();
        let other: Vec<_> = days.iter().map(turned).collect();
        prop_assert_eq!(after(&one, &rules), after(&other, &rules));
    }

    #[test]
    fn no_renter_moves_pressure_by_more_than_its_caps(
        days in prop::collection::vec(day(), 1..6), last in day(),
        cards in prop::collection::vec(0_u8..200, 12), refused in 0_u8..255,
    ) {
        // The same cards are free, or rented by one account that also asks for more.
        let rules = prompt();
        let (mut without, mut with) = (last.clone(), last);
        for (who, cards) in (0..).zip(cards) {
            without.free.push((who, cards));
            with.rented.push((who, 200 - 100, cards));
        }
        with.refused.push((200 - 100, refused));
        let moved = then(&days, &with.seen(), &rules).price.units()
            - then(&days, &without.seen(), &rules).price.units();
        prop_assert!(moved <= BASE.units() / 10_000 * rules.renter_influence_max_bp() + 1_000_000);
    }

    #[test]
    fn all_refused_requests_together_have_a_cap(
        days in prop::collection::vec(day(), 1..6), last in day(),
        refused in prop::collection::vec((0_u8..100, any::<u8>()), 0..60),
    ) {
        let rules = prompt();
        let without = Day { refused: vec![], ..last.clone() };
        let with = Day { refused, ..last };
        let moved = then(&days, &with.seen(), &rules).price.units()
            - then(&days, &without.seen(), &rules).price.units();
        prop_assert!(moved <= BASE.share_floor(rules.refused_all_max_bp).units() + 1_000_000);
    }

    #[test]
    fn no_withdrawal_moves_pressure_by_more_than_its_bound(
        days in prop::collection::vec(day(), 1..6), last in day(),
        usual in 0_u8..200, rented in 0_u8..50,
    ) {
        let rules = prompt();
        let here = |day: &Day| Day { free: [&day.free[..], &[(50, usual)]].concat(), ..day.clone() };
        let known: Vec<Day> = days.iter().map(here).collect();
        let mut stays = here(&last);
        stays.rented.push((50, 7, rented.min(usual)));
        let gone = then(&known, &last.seen(), &rules).price.units();
        let stays = then(&known, &stays.seen(), &rules).price.units();
        let most = BASE.units() / 10_000 * rules.withdrawal_influence_max_bp();
        prop_assert!(gone.saturating_sub(stays) <= most + 1_000_000, "{} {} {}", gone, stays, most);
    }

    #[test]
    fn renting_from_oneself_is_taking_cards_off_the_market(
        days in prop::collection::vec(day(), 1..6), last in day(), rules in rules(), cards in 1_u64..9_999,
    ) {
        let mut own = last.seen();
        own.rented(account(3), account(3), cards);
        prop_assert_eq!(then(&days, &own, &rules), then(&days, &last.seen(), &rules));
    }

    #[test]
    fn no_number_is_too_large(
        amounts in prop::collection::vec((0_u8..20, any::<u64>()), 1..40), base: u64,
    ) {
        let mut seen = Observation::default();
        for (who, amount) in &amounts {
            seen.free(account(*who), *amount);
            seen.rented(account(*who), account(who + 1), *amount);
            seen.refused(account(*who), *amount);
        }
        for rules in [PricingRules::default(), prompt()] {
            let pricing = after(&vec![seen.clone(); 4], &rules);
            let quote = pricing.quote(&key(), Credits::from_units(base), &rules);
            prop_assert!(quote.spot_price <= quote.price);
        }
    }

    #[test]
    fn it_reads_back_as_written(days in prop::collection::vec(day(), 1..6), rules in rules()) {
        let days: Vec<_> = days.iter().map(Day::seen).collect();
        let pricing = after(&days, &rules);
        let text = serde_json::to_string(&pricing).unwrap();
        prop_assert_eq!(serde_json::from_str::<Pricing>(&text).unwrap(), pricing);
        let text = serde_json::to_string(&rules).unwrap();
        prop_assert_eq!(serde_json::from_str::<PricingRules>(&text).unwrap(), rules);
    }

    #[test]
    fn reclaiming_takes_the_lowest_bids_and_no_more_than_needed(
        bids in prop::collection::vec((0_u64..5, 0_u64..5, 0_u32..4), 0..9), cards in 0_u32..12,
    ) {
        let rentals: Vec<SpotRental> = (0_u128..).zip(&bids).map(spot_rental).collect();
        let gone = reclaim(&rentals, cards);
        let find = |id: &RentalId| *rentals.iter().find(|rental| rental.rental == *id).unwrap();
        let gone: Vec<SpotRental> = gone.iter().map(find).collect();
        let freed: u32 = gone.iter().map(|rental| rental.cards).sum();
        let all: u32 = rentals.iter().map(|rental| rental.cards).sum();
        prop_assert!(freed >= cards.min(all));
        if let Some(last) = gone.last() {
            prop_assert!(freed - last.cards < cards);
        }
        let mut stays = rentals.iter().filter(|rental| rental.cards > 0 && !gone.contains(rental));
        prop_assert!(stays.all(|stays| gone.iter().all(|gone| gone.bid <= stays.bid)));
    }
}

fn spot_rental((id, (bid, since, cards)): (u128, &(u64, u64, u32))) -> SpotRental {
    SpotRental {
        rental: RentalId::from_bits(id),
        bid: Credits::from_units(*bid),
        since: Timestamp::from_millis(*since),
        cards: *cards,
    }
}

/// Ten suppliers of ten cards each, so many of these rented, each by a renter of its own, for so many hours.
fn market(rented: u8, hours: usize, rules: &PricingRules) -> Pricing {
    let day = Day {
        free: (0..10).map(|who| (who, 10 - rented)).collect(),
        rented: (0..10).map(|who| (who, who, rented)).collect(),
        refused: vec![],
    };
    after(&vec![day.seen(); hours], rules)
}

#[test]
fn a_market_rests_at_its_target_and_leans_with_what_is_rented() {
    let rules = PricingRules::default();
    // Memories round down, so a price comes to within a hundredth of a percent of where it rests.
    let near = |price: Credits, expected: &str| {
        let expected: Credits = expected.parse().unwrap();
        price.units().abs_diff(expected.units()) <= expected.units() / 10_000
    };
    let check = |rented: u8, price: &str, spot: &str| {
        let quote = market(rented, 400, &rules).quote(&key(), "1.5".parse().unwrap(), &rules);
        assert!(near(quote.price, price) && near(quote.spot_price, spot), "{rented} {quote:?}");
    };
    check(8, "1.500000", "1.200000");
    check(10, "2.100000", "1.890000");
    check(5, "0.600000", "0.390000");
    check(0, "0.600000", "0.300000");
}

#[test]
fn whoever_hides_a_tenth_of_all_cards_is_counted_as_hiding_a_fiftieth() {
    // Nine tenths are rented from the others. By what is on offer, all of it would be.
    let rules = prompt();
    let mut day = Day { free: vec![(9, 10)], ..Day::default() };
    day.rented = (0..18).map(|renter| (renter % 9, renter, 5)).collect();
    let known = vec![day.clone(); 9];
    let stays = then(&known, &day.seen(), &rules).price.units();
    day.free.clear();
    let gone = then(&known, &day.seen(), &rules).price.units();
    let moved = (gone - stays) / (BASE.units() / 10_000);
    assert_eq!(moved, 9_000 * 10_000 / 9_800 - 9_000);
    assert!(moved <= rules.withdrawal_influence_max_bp());
}

#[test]
fn a_quote_tells_every_step_and_each_begins_where_the_last_ended() {
    let rules = PricingRules::default();
    let pricing = market(10, 3, &rules);
    let key: PriceKey = "high/europe/hipaa+soc2/NVIDIA H100 PCIe".parse().unwrap();
    let quote = pricing.quote(&key, "0.89".parse().unwrap(), &rules);
    let names: Vec<StepName> =
        quote.on_demand.iter().chain(&quote.spot).map(|step| step.name).collect();
    assert!(names.is_sorted() && names.len() == 9, "{names:?}");
    let steps: Vec<_> = quote.on_demand.iter().chain(&quote.spot).collect();
    assert!(steps.windows(2).all(|pair| pair[0].to == pair[1].from));
    assert_eq!((quote.on_demand[6].to, quote.spot[1].to), (quote.price, quote.spot_price));
    let told: Vec<String> = steps.iter().map(|step| format!("{} {}", step.to, step.why)).collect();
    assert_eq!(
        told[..4],
        [
            "0.890000 base price of NVIDIA H100 PCIe",
            "0.934500 tier high × 1.0500",
            "1.027950 certified hipaa+soc2 × 1.1000",
            "1.027950 region europe × 1.0000",
        ]
    );
}

#[test]
fn too_few_suppliers_make_no_market() {
    let rules = PricingRules::default();
    let day =
        Day { free: vec![], rented: (0..4).map(|who| (who, who, 200)).collect(), refused: vec![] };
    let pricing = after(&vec![day.seen(); 500], &rules);
    assert_eq!(quote(&pricing, &rules).price, BASE);
}

#[test]
fn a_key_without_a_market_of_its_own_has_the_price_of_its_model() {
    let rules = PricingRules::default();
    let pricing = market(10, 400, &rules);
    let other: PriceKey = "medium/asia/-/NVIDIA H100 PCIe".parse().unwrap();
    assert_eq!(pricing.quote(&other, BASE, &rules).price, quote(&pricing, &rules).price);
    let another: PriceKey = "medium/asia/-/NVIDIA A100".parse().unwrap();
    assert_eq!(pricing.quote(&another, BASE, &rules).price, BASE);
}

#[test]
fn what_is_gone_is_forgotten_in_the_end() {
    let rules = PricingRules { withdrawal_window_hours: 12, ..PricingRules::default() };
    let mut pricing = market(8, 100, &rules);
    for hour in 101..1_000 {
        pricing.step(Hour::from_number(hour), &BTreeMap::new(), &rules).unwrap();
    }
    assert_eq!(pricing.keys().count(), 0);
    let refused = pricing.step(Hour::from_number(999), &BTreeMap::new(), &rules);
    assert_eq!(refused, Err(PricingRefusal::HourIsPast { last: Hour::from_number(999) }));
}

#[test]
fn the_defaults_promise_what_they_promise_and_nonsense_is_refused_by_name() {
    assert_eq!(PricingRules::default().check(), Ok(()));
    assert_eq!(PricingRules::default().renter_influence_max_bp(), 2_200);
    assert_eq!(PricingRules::default().withdrawal_influence_max_bp(), 584);
    let rules = PricingRules { ceiling_bp: 100, ..PricingRules::default() };
    assert_eq!(
        rules.check().unwrap_err().to_string(),
        "`ceiling_bp` is 100; it must be from 4000 to 65535"
    );
    let rules = PricingRules { thick_cards: 0, ..PricingRules::default() };
    assert_eq!(rules.check().unwrap_err().field, "thick_cards");
}

#[test]
fn keys_and_regions_read_back_as_written() {
    for text in ["high/europe/hipaa+soc2/NVIDIA H100 PCIe", "none/elsewhere/-/a/b/c"] {
        assert_eq!(text.parse::<PriceKey>().unwrap().to_string(), text);
    }
    for wrong in ["", "high", "high/europe/NVIDIA", "high/atlantis/-/NVIDIA", "high/europe//NVIDIA"]
    {
        assert!(wrong.parse::<PriceKey>().is_err(), "{wrong}");
    }
    let region = |country: &str| Region::of(country.parse::<Country>().unwrap());
    assert_eq!(region("DE"), Region::Europe);
    assert_eq!(region("BR"), Region::SouthAmerica);
    assert_eq!(region("AQ"), Region::Elsewhere);
}

#[test]
fn the_outbid_go_in_order_and_have_their_notice() {
    let rentals: Vec<SpotRental> =
        (0_u128..).zip(&[(5, 1, 1), (3, 1, 1), (3, 2, 1), (9, 1, 1)]).map(spot_rental).collect();
    let ids = |bits: &[u128]| bits.iter().copied().map(RentalId::from_bits).collect::<Vec<_>>();
    assert_eq!(outbid(&rentals, Credits::from_units(9)), ids(&[2, 1, 0]));
    assert_eq!(reclaim(&rentals, 2), ids(&[2, 1]));
    let now = Timestamp::from_millis(7);
    assert_eq!(leaves_at(now, &PricingRules::default()), now.after(MINUTE * 5));
}
