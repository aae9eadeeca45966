//! Orders that wait: served when machines come, get free or cost less, and never twice.

use std::time::Duration;

use control::{
    Command, Control, Effect, Needs, Noun, ORDER_WAITS_MAX, ORDERS_WAITING_OF_PROJECT_MAX,
    Obstacle, OrderRecord, Refusal, Subject,
};
use units::{Asset, OrderId, Timestamp};

use crate::town::{Town, bits, name, order, project};

fn waiting(of: &str) -> OrderId {
    OrderId::from_bits(bits(of))
}

/// An order of an hour, named after the rental that it becomes, which waits for so many minutes.
fn wait_for(who: &str, of: &str, order: OrderRecord, until: Timestamp) -> Command {
    let (waiting, project, name) = (waiting(of), project(who), name(of));
    let until_millis = until.millis();
    Command::Wait { waiting, project, order, hours: 1, pay: None, name, until_millis }
}

impl Town {
    fn wait(&mut self, who: &str, of: &str, nodes: u32, minutes: u64) {
        let until = self.now.after(Duration::from_secs(60 * minutes));
        self.ok(who, wait_for(who, of, order(nodes, 1), until));
        self.seconds(1);
    }

    fn leave(&mut self, who: &str, of: &str) -> Result<(), Refusal> {
        self.tell(who, Command::Leave { waiting: waiting(of) }).map(drop)
    }

    fn order(&self, of: &str) -> &'static str {
        self.control.queued(waiting(of)).map_or("forgotten", |order| order.stage.text())
    }

    fn why(&self, of: &str) -> String {
        match &self.control.queued(waiting(of)).unwrap().stage {
            control::QueuedStage::Waiting { obstacle: Obstacle::First } => "First".to_owned(),
            control::QueuedStage::Waiting { obstacle } => obstacle.to_string(),
            ended @ (control::QueuedStage::Served { .. }
            | control::QueuedStage::Lapsed { .. }
            | control::QueuedStage::Left { .. }) => ended.text().to_owned(),
        }
    }

    /// Seconds pass; the clock is told whenever something is due.
    fn seconds(&mut self, seconds: u64) {
        let end = self.now.after(Duration::from_secs(seconds));
        while let Some(due) = self.control.wake_at().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.ok("clock", Command::Wake {});
        }
        self.now = end;
    }
}

#[test]
fn an_order_is_rented_when_a_machine_gets_free() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.wait("bob", "b", 1, 60);
    assert_eq!((town.order("b"), town.why("b").as_str()), ("waiting", "First"));
    assert_eq!(town.purse("bob"), "100.000000", "who waits has nothing set aside");
    town.end("ann", "a").unwrap();
    town.says("m0", "");
    town.seconds(1);
    assert_eq!((town.order("b"), town.stage("b").as_str()), ("served", "deploying"));
    assert_eq!(town.purse("bob"), "99.000000");
    town.says("m0", "b0 ready");
    assert_eq!(town.stage("b"), "running");
    assert!(town.effects.contains(&Effect::Changed(Subject::Order(waiting("b")))));
}

#[test]
fn an_order_is_rented_when_a_machine_comes() {
    let mut town = Town::new();
    town.wait("bob", "b", 2, 60);
    town.join("m0", 1).unwrap();
    town.seconds(5);
    assert_eq!(town.order("b"), "waiting", "all nodes or none");
    assert_eq!(town.free("m0"), 1);
    town.join("m1", 1).unwrap();
    town.seconds(2);
    assert_eq!((town.order("b"), town.stage("b").as_str()), ("served", "deploying"));
}

#[test]
fn an_order_is_rented_when_prices_fall_to_what_it_may_cost() {
    let mut town = Town::with(&[1]);
    let mut cheap = order(1, 1);
    cheap.filters.node_hour_max = Some("0.5".parse().unwrap());
    let until = town.now.after(Duration::from_secs(3_600));
    town.ok("bob", wait_for("bob", "b", cheap, until));
    town.seconds(2);
    assert_eq!(town.order("b"), "waiting");
    town.prices("0.4", "0.01");
    town.seconds(2);
    assert_eq!((town.order("b"), town.purse("bob").as_str()), ("served", "99.600000"));
}

#[test]
fn an_order_without_money_is_passed_over_until_the_money_is_there() {
    let mut town = Town::new();
    let drain = control::Purse::Project(project("bob"));
    let out = control::Purse::Project(project("ann"));
    town.top_up("bob", "1");
    town.running_out("bob", drain, out);
    town.wait("bob", "b", 1, 60);
    town.wait("ann", "a", 1, 60);
    town.join("m0", 1).unwrap();
    town.seconds(2);
    assert!(town.why("b").contains("the balance is too small"), "{}", town.why("b"));
    assert_eq!(town.order("a"), "served", "who can pay does not wait for who cannot");
    town.end("ann", "a").unwrap();
    town.says("m0", "");
    town.top_up("bob", "1");
    town.seconds(2);
    assert_eq!(town.order("b"), "served");
}

impl Town {
    /// Everything a project has is spent: a rental that costs all of it, and is charged whole.
    fn running_out(&mut self, who: &str, _: control::Purse, _: control::Purse) {
        self.prices("101", "0.01");
        self.join("m9", 1).unwrap();
        self.running(who, "z", 1);
        self.minutes(60);
        self.says("m9", "");
        self.ok("sue", Command::Retire { worker: crate::town::worker("m9") });
        self.prices("1", "0.01");
        assert_eq!(self.purse(who), "0.000000");
    }
}

#[test]
fn an_order_lapses_when_its_time_is_over_and_is_forgotten_an_hour_later() {
    let mut town = Town::new();
    town.wait("bob", "b", 1, 30);
    town.minutes(29);
    assert_eq!(town.order("b"), "waiting");
    town.minutes(1);
    assert_eq!(town.order("b"), "lapsed");
    town.join("m0", 1).unwrap();
    town.minutes(59);
    assert_eq!((town.order("b"), town.free("m0")), ("lapsed", 1));
    town.minutes(1);
    assert_eq!(town.order("b"), "forgotten");
}

#[test]
fn who_leaves_is_not_served_and_leaving_twice_is_leaving_once() {
    let mut town = Town::new();
    town.wait("bob", "b", 1, 30);
    assert_eq!(town.leave("ann", "b"), Err(Refusal::NotFound(Noun::Order)));
    town.leave("bob", "b").unwrap();
    town.leave("bob", "b").unwrap();
    town.join("m0", 1).unwrap();
    town.minutes(1);
    assert_eq!((town.order("b"), town.free("m0")), ("left", 1));
}

#[test]
fn what_was_served_is_not_left_but_ended() {
    let mut town = Town::with(&[1]);
    town.wait("bob", "b", 1, 30);
    assert_eq!(town.order("b"), "served");
    assert_eq!(town.leave("bob", "b"), Err(Refusal::Used(Noun::Order)));
}

#[test]
fn who_came_first_is_served_first() {
    let mut town = Town::with(&[1]);
    town.running("ann", "z", 1);
    town.wait("bob", "b", 1, 60);
    town.wait("ann", "a", 1, 60);
    let place = |town: &Town, of| town.control.place_in_queue(waiting(of));
    assert_eq!((place(&town, "b"), place(&town, "a")), (Some(1), Some(2)));
    assert_eq!(town.why("a"), format!("there is no room beside what is kept for {}", waiting("b")));
    town.end("ann", "z").unwrap();
    town.says("m0", "");
    town.seconds(2);
    assert_eq!((town.order("b"), town.order("a")), ("served", "waiting"));
    assert_eq!((place(&town, "b"), place(&town, "a")), (None, Some(1)));
}

#[test]
fn the_matcher_says_why_an_order_waits() {
    let mut town = Town::with(&[1]);
    town.wait("bob", "b", 2, 60);
    let why = town.control.why_it_waits(waiting("b")).unwrap().to_string();
    assert!(why.contains("1 node possible on 1 machine"), "{why}");
}

#[test]
fn what_no_wait_would_help_is_refused_in_order() {
    let mut town = Town::new();
    let soon = town.now.after(Duration::from_secs(60));
    let told = |town: &mut Town, who: &str, command| town.tell(who, command).map(drop);
    let other = wait_for("bob", "b", order(1, 1), soon);
    assert_eq!(told(&mut town, "ann", other), Err(Refusal::NotFound(Noun::Project)));
    for until in [town.now, town.now.after(ORDER_WAITS_MAX).after(Duration::from_millis(1))] {
        let refused = told(&mut town, "bob", wait_for("bob", "b", order(1, 1), until));
        assert!(matches!(refused, Err(Refusal::Invalid { field: "until", .. })));
    }
    let refused = told(&mut town, "bob", wait_for("bob", "b", order(0, 1), soon));
    assert!(matches!(refused, Err(Refusal::NoOffer(scheduler::Refusal::NothingAsked))));
    let spot = OrderRecord { spot: Some("1".parse().unwrap()), ..order(1, 0) };
    let refused = told(&mut town, "bob", wait_for("bob", "b", spot, soon));
    assert!(matches!(refused, Err(Refusal::Invalid { field: "spot", .. })));
    town.ok("bob", wait_for("bob", "b", order(1, 1), soon));
    let again = wait_for("bob", "b", order(1, 1), soon);
    assert_eq!(told(&mut town, "bob", again), Err(Refusal::Exists(Noun::Order)));
}

#[test]
fn no_project_has_more_orders_waiting_than_it_may() {
    let mut town = Town::new();
    town.careful = false;
    let until = town.now.after(Duration::from_secs(600));
    let next = |number: usize| {
        let waiting = OrderId::from_bits(u128::try_from(number).unwrap());
        let (order, project, name) = (order(1, 1), project("bob"), name("x"));
        let (pay, until_millis) = (Some(Asset::Usd), until.millis());
        Command::Wait { waiting, project, order, hours: 1, pay, name, until_millis }
    };
    (0..ORDERS_WAITING_OF_PROJECT_MAX).for_each(|number| town.ok("bob", next(number)));
    let refused = town.tell("bob", next(ORDERS_WAITING_OF_PROJECT_MAX));
    assert!(matches!(refused, Err(Refusal::TooMany { .. })));
    // All are tried, though not at once.
    town.seconds(5);
    assert!(
        town.control.queued_orders().all(|order| town.control.why_it_waits(order.id).is_some())
    );
    let untried = control::QueuedStage::Waiting { obstacle: Obstacle::Untried };
    assert!(town.control.queued_orders().all(|order| order.stage != untried));
}

#[test]
fn spot_rentals_are_told_to_go_for_an_order_that_waits_once() {
    let mut town = Town::with(&[1]);
    let spot = OrderRecord { spot: Some("1".parse().unwrap()), ..order(1, 1) };
    let (rental, project) = (crate::town::rental("a"), project("ann"));
    town.ok("ann", Command::Quote { rental, project, order: spot, hours: 4, pay: None });
    town.rent("ann", "a", false).unwrap();
    town.says("m0", "a0 ready");
    town.wait("bob", "b", 1, 60);
    assert!(town.control.rental(rental).unwrap().wanted_back.is_some());
    assert!(town.control.queued(waiting("b")).unwrap().has_reclaimed);
    town.minutes(10);
    town.says("m0", "");
    town.seconds(2);
    assert_eq!(town.order("b"), "served");
}

/// Two machines of which one is taken, and a gang of two that waits for both.
fn with_a_gang() -> Town {
    let mut town = Town::with(&[1, 1]);
    town.running("ann", "z", 1);
    town.wait("bob", "b", 2, 600);
    assert_eq!(
        (town.why("b").as_str(), town.control.place_in_queue(waiting("b"))),
        ("First", Some(1))
    );
    town
}

#[test]
fn what_is_kept_for_a_gang_nobody_else_quotes_or_rents() {
    let mut town = with_a_gang();
    let whose = |town: &Town| (town.free("m0"), town.free("m1"));
    assert_eq!(whose(&town).0 + whose(&town).1, 1, "one machine is free");
    assert_eq!(town.quote("ann", "a", 1), Err(Refusal::Reserved));
    assert!(matches!(town.quote("ann", "a", 2), Err(Refusal::NoOffer(_))));
    town.join("m2", 1).unwrap();
    town.seconds(1);
    assert_eq!(town.order("b"), "served", "the third machine completes the gang");
    assert!(matches!(town.quote("ann", "a", 1), Err(Refusal::NoOffer(_))));
}

#[test]
fn a_quote_from_before_does_not_take_what_is_kept() {
    let mut town = Town::with(&[1, 1]);
    town.running("ann", "z", 1);
    town.quote("ann", "a", 1).unwrap();
    town.wait("bob", "b", 2, 600);
    assert_eq!(town.rent("ann", "a", false), Err(Refusal::Reserved));
    town.leave("bob", "b").unwrap();
    town.rent("ann", "a", false).unwrap();
}

#[test]
fn who_is_gone_before_a_gang_starts_may_have_what_is_kept_for_it() {
    let mut town = Town::with(&[1, 1]);
    let (rental, project) = (crate::town::rental("z"), project("ann"));
    town.ok("ann", Command::Quote { rental, project, order: order(1, 1), hours: 5, pay: None });
    town.rent("ann", "z", false).unwrap();
    let machine = town.machine_of("z", 0);
    town.says(&machine, "z0 ready");
    town.wait("bob", "b", 2, 600);
    town.take("ann", "a", 1);
    town.seconds(2);
    assert_eq!((town.order("b"), town.stage("a").as_str()), ("waiting", "deploying"));
    let earliest = town.control.earliest_start(waiting("b")).unwrap();
    let until = town.control.rental(rental).unwrap().stage.expires_at().unwrap();
    assert_eq!(earliest, until.after(market::CLEARING_MAX));
}

#[test]
fn room_is_kept_for_nobody_who_cannot_pay() {
    let mut town = Town::with(&[1, 1]);
    town.running("ann", "z", 1);
    town.prices("60", "0.01");
    town.wait("bob", "b", 2, 600);
    town.seconds(2);
    assert!(town.why("b").contains("passed over: the balance is too small"), "{}", town.why("b"));
    town.take("ann", "a", 1);
    town.top_up("bob", "20");
    town.seconds(2);
    assert_eq!(town.why("b"), "First");
}

#[test]
fn a_project_of_twice_the_weight_has_twice_as_much() {
    let mut town = Town::with(&[1, 1, 1]);
    let (tom, owner) = (crate::town::account("tom"), name("tom"));
    town.ok("operator", Command::OpenAccount { account: tom, name: owner.clone(), email: None });
    town.ok("tom", Command::OpenProject { project: project("tom"), owner: tom, name: owner });
    town.top_up("tom", "100");
    for (machine, rental) in ["x", "y", "z"].iter().enumerate() {
        town.running("tom", rental, 1);
        assert_eq!(town.free(&format!("m{machine}")), 0);
    }
    let weights = format!(r#"{{"queue":{{"weights":{{"{}":2}}}}}}"#, project("bob"));
    town.patch(&weights);
    for of in ["a", "c", "e"] {
        town.wait("ann", of, 1, 600);
    }
    for of in ["b", "d", "f"] {
        town.wait("bob", of, 1, 600);
    }
    for (machine, rental) in ["x", "y", "z"].iter().enumerate() {
        town.end("tom", rental).unwrap();
        town.says(&format!("m{machine}"), "");
    }
    town.seconds(2);
    let served = |of: [&str; 3]| of.iter().filter(|of| town.order(of) == "served").count();
    assert_eq!((served(["a", "c", "e"]), served(["b", "d", "f"])), (1, 2));
}

#[test]
fn nobody_is_served_while_the_brake_stops_new_rentals() {
    let mut town = Town::new();
    town.wait("bob", "b", 1, 600);
    let what = [stakes::votes::Switch::NewRentals].into();
    let (reason, by) = ("a look".to_owned(), crate::town::account("bob"));
    let brake = control::BrakeRecord { what, reason, by, hours: 1 };
    town.ok("operator", Command::PullBrake { brake });
    town.join("m0", 1).unwrap();
    town.minutes(59);
    assert_eq!(town.order("b"), "waiting");
    town.minutes(1);
    assert_eq!(town.order("b"), "served");
}

#[test]
fn nobody_but_members_may_wait_and_a_snapshot_that_lies_is_none() {
    let mut town = Town::new();
    let until = town.now.after(Duration::from_secs(600));
    let role = Some(control::Role::Viewer);
    let account = crate::town::account("ann");
    town.ok("bob", Command::SetMember { project: project("bob"), account, role });
    let refused = town.tell("ann", wait_for("bob", "b", order(1, 1), until));
    assert_eq!(refused.map(drop), Err(Refusal::Forbidden(Needs::ProjectMember)));
    town.wait("bob", "b", 1, 60);
    let text = String::from_utf8(town.control.snapshot()).unwrap();
    let since = format!("\"until\":{}", town.control.queued(waiting("b")).unwrap().until.millis());
    assert!(text.contains(&since), "{text}");
    assert!(Control::from_snapshot(text.replace(&since, "\"until\":1").as_bytes()).is_err());
}

#[test]
fn an_order_stays_away_from_rentals_of_its_own_project_only() {
    let mut town = Town::with(&[1, 1]);
    town.running("ann", "a", 1);
    let away =
        |of: &str| OrderRecord { away_from: [crate::town::rental(of)].into(), ..order(1, 1) };
    let quote = |who: &str, of: &str| Command::Quote {
        rental: crate::town::rental("q"),
        project: project(who),
        order: away(of),
        hours: 1,
        pay: None,
    };
    let until = town.now.after(Duration::from_secs(600));
    for unknown in [quote("bob", "a"), quote("ann", "z"), wait_for("bob", "w", away("a"), until)] {
        let refused = town.tell(if unknown == quote("ann", "z") { "ann" } else { "bob" }, unknown);
        assert_eq!(refused.map(drop), Err(Refusal::NotFound(Noun::Rental)));
    }
    town.ok("ann", quote("ann", "a"));
    let many = (0..17).map(units::RentalId::from_bits).collect();
    let order = OrderRecord { away_from: many, ..order(1, 1) };
    let (rental, project) = (crate::town::rental("m"), project("ann"));
    let refused = town.tell("ann", Command::Quote { rental, project, order, hours: 1, pay: None });
    assert!(matches!(refused, Err(Refusal::Invalid { field: "order.away_from", .. })));
}

#[test]
fn who_is_behind_an_order_that_is_served_waits_for_its_end() {
    let mut town = Town::with(&[1, 1]);
    town.running("ann", "a", 2);
    town.wait("bob", "b", 2, 60);
    town.wait("bob", "c", 2, 60);
    town.end("ann", "a").unwrap();
    let first = town.machine_of("a", 0);
    town.says(&first, "");
    town.seconds(2);
    let second = town.machine_of("a", 1);
    town.says(&second, "");
    town.seconds(2);
    assert_eq!((town.order("b"), town.order("c")), ("served", "waiting"));
    assert_eq!(town.why("c"), "First");
}
