//! The market keeps room for large orders when it knows what is asked for.

use placement_bench::market::{Given, sell, whole_tasks};

use crate::published::trace;

#[test]
fn machines_of_one_price_are_told_apart_by_what_the_orders_to_come_lose() {
    for workload in ["default", "multigpu30"] {
        let tasks = whole_tasks(&trace(workload));
        let (without, with) = (sell(&tasks, 42, 100, false), sell(&tasks, 42, 100, true));
        let permille = |given: &Given| given.given * 1_000 / given.gpus;
        assert!(
            permille(&with) >= permille(&without) + 10,
            "{workload}: {with:?}, and {without:?} when nothing is learnt"
        );
        assert!(with.gangs_served >= without.gangs_served, "{workload}: {with:?}, {without:?}");
    }
}
