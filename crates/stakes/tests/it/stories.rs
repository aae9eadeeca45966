//! Stories of stakers, told line by line. Every device needs 1000 unless a line says otherwise.

use stakes::{Device, Listed, NewOffer, OfferFilter, OfferStatus, StakeRules, Stakes};
use units::{AccountId, Coins, OfferId, Timestamp, WorkerId};

use crate::words::check;

#[test]
fn coins_go_in_count_cool_down_and_come_out() {
    check(
        "
        alice stakes 600 w1      -> 600 count
        show w1                  -> 600/1000: own 600 co 0 over 0 locked 0
        alice stakes 900 w1      -> 1500 count
        show w1                  -> 1500/1000: own 1500 co 0 over 500 locked 0
        at 1d
        alice unstakes w1        -> 1500 cool until 15d
        show w1                  -> 0/1000: own 0 co 0 over 0 locked 0, alice 1500 cools until 15d
        at 15d-1ms
        alice withdraws w1       -> refused: the coins cool down until 1970-01-16 00:00 UTC: withdraw them then
        alice stakes 1000 w1     -> refused: coins of this device cool down until 1970-01-16 00:00 UTC: ...
        at 15d
        alice withdraws w1       -> paid 1500
        alice stakes 1000 w1     -> 1000 count
    ",
    );
}

#[test]
fn only_the_overflow_leaves_at_once() {
    check(
        "
        alice stakes 1500 w1            -> 1500 count
        alice takes 501 w1              -> refused: 500.00 IO can be withdrawn without unstaking, not ...
        alice takes 500 w1              -> paid 500
        alice takes 0 w1                -> refused: no coins are named: say how many
        bob takes 1 w1                  -> refused: this device is staked by another account: only its owner ...
        alice takes 1 w1 or unstake     -> 1000 cool until 14d
    ",
    );
}

#[test]
fn a_device_that_is_hired_or_on_offer_stays_staked() {
    check(
        "
        alice unstakes w1               -> refused: nothing is staked on this device
        alice stakes 1000 w1            -> 1000 count
        bob stakes 1 w1                 -> refused: this device is staked by another account: only its owner ...
        bob unstakes w1                 -> refused: this device is staked by another account: only its owner ...
        hired
        alice unstakes w1               -> refused: the device is hired: unstake when the rental has ended
        alice takes 1 w1 or unstake     -> refused: the device is hired: unstake when the rental has ended
        free
        alice offers o1 w1 50% for 30%  -> asks for 500
        alice unstakes w1               -> refused: the co-staking offer off_00000000000000000000000001 is open: ...
        alice retracts o1
        show o1                         -> Offer Closed, green
        alice unstakes w1               -> 1000 cool until 14d
        bob stakes 10 w1                -> 10 count
        at 14d
        alice withdraws w1              -> paid 1000
    ",
    );
}

#[test]
fn an_offer_is_made_taken_and_left() {
    check(
        "
        alice stakes 999 w1             -> 999 count
        alice offers o1 w1 50% for 30%  -> refused: the owner must hold the whole stake of 1000.00 IO to ...
        alice stakes 1 w1               -> 1000 count
        alice offers o1 w1 51% for 30%  -> refused: a co-staker carries more than 0 and at most 50 % ...
        alice offers o1 w1 0% for 30%   -> refused: a co-staker carries more than 0 and at most 50 % ...
        alice offers o1 w1 50% for 0%   -> refused: a co-staker gets more than 0 and at most 100 % ...
        alice offers o1 w1 50% for 101% -> refused: a co-staker gets more than 0 and at most 100 % ...
        bob offers o1 w1 50% for 30%    -> refused: this is for another account: owners make and retract offers, ...
        alice offers o1 w1 50% for 30%  -> asks for 500
        alice offers o1 w1 40% for 30%  -> refused: the offer off_00000000000000000000000001 is known already
        alice offers o2 w1 40% for 30%  -> refused: the device has an open offer, off_00000000000000000000000001: ...
        show o1                         -> Sufficient Stake (Waiting for Co-Staker), green
        need w1 1600
        show o1                         -> Insufficient Stake (Waiting for Co-Staker), red
        bob accepts o1                  -> refused: the device would lack 100.00 IO even with these coins, ...
        need w1 1000
        alice accepts o1                -> refused: this is your own device: stake on it directly
        bob accepts o1                  -> 500 in
        carol accepts o1                -> refused: the offer is active
        show o1                         -> Sufficient Stake (Active Co-Staking), green
        show w1                         -> 1500/1000: own 1000 co 500 over 500 locked 0
        alice retracts o1               -> refused: the offer is active
        alice offers o2 w1 40% for 30%  -> refused: the device has a co-staker by the offer ...
        alice takes 500 w1              -> paid 500
        need w1 1100
        show o1                         -> Insufficient Stake (Active Co-Staking), red
        need w1 1000
        at 2d
        carol leaves o1                 -> refused: this is for another account: owners make and retract offers, ...
        bob leaves o1                   -> 500 count until 9d, out at 23d
        show o1                         -> Co-Staker Unstaked (In Wait Period), red
        show w1                         -> 1000/1000: own 500 co 500 over 0 locked 0
        alice stakes 500 w1             -> 1000 count
        show o1                         -> Co-Staker Unstaked (In Wait Period), green
        alice offers o2 w1 40% for 30%  -> asks for 400
        carol accepts o2                -> refused: the co-staker before leaves until 1970-01-10 00:00 UTC: ...
        at 9d-1ms
        wake                            -> nothing
        show w1                         -> 1500/1000: own 1000 co 500 over 500 locked 0
        at 9d
        show w1                         -> 1000/1000: own 1000 co 0 over 0 locked 0
        wake                            -> bob 500 cools until 23d
        show o1                         -> In Cooldown, green
        bob accepts o2                  -> refused: your coins of this device cool down until 1970-01-24 00:00 ...
        carol accepts o2                -> 400 in
        at 23d-1ms
        bob withdraws w1                -> refused: the coins cool down until 1970-01-24 00:00 UTC: withdraw ...
        at 23d
        bob withdraws w1                -> paid 500
        show o1                         -> Co-Staker Withdrawn, green
    ",
    );
}

#[test]
fn an_owner_who_unstakes_takes_the_co_staker_along() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 30%  -> asks for 500
        bob accepts o1                  -> 500 in
        at 3d
        bob leaves o1                   -> 500 count until 10d, out at 24d
        at 4d
        alice takes 501 w1              -> refused: 500.00 IO can be withdrawn without unstaking, not ...
        alice takes 501 w1 or unstake   -> 1000 and bob 500 cool until 18d
        show o1                         -> In Cooldown, green
        at 10d
        wake                            -> nothing
        at 18d
        bob withdraws w1                -> paid 500
        alice withdraws w1              -> paid 1000
    ",
    );
}

#[test]
fn nobody_co_stakes_more_than_two_devices() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice stakes 1000 w2            -> 1000 count
        carol stakes 1000 w3            -> 1000 count
        alice offers o1 w1 50% for 30%  -> asks for 500
        alice offers o2 w2 10% for 30%  -> asks for 100
        carol offers o3 w3 10% for 30%  -> asks for 100
        bob accepts o1                  -> 500 in
        bob accepts o2                  -> 100 in
        bob accepts o3                  -> refused: this account has taken 2 offers, which is the most: leave one first
        bob leaves o1                   -> 500 count until 7d, out at 21d
        bob accepts o3                  -> refused: this account has taken 2 offers, which is the most: leave one first
        at 7d
        wake                            -> bob 500 cools until 21d
        bob accepts o3                  -> 100 in
    ",
    );
}

#[test]
fn an_hour_is_shared_by_who_stood_through_all_of_it() {
    // Hour 24 is the first of day 1.
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 33%  -> asks for 500
        at 1d+1ms
        bob accepts o1                  -> 500 in
        payout w1 24 100                -> owner 100
        payout w1 25 100                -> owner 67, bob 33
        payout w1 25 0.00000005         -> owner 0.00000004, bob 0.00000001
        at 1d+4h
        bob leaves o1                   -> 500 count until 8d+14400000ms, out at 22d+14400000ms
        payout w1 27 100                -> owner 67, bob 33
        payout w1 28 100                -> owner 100
        payout w9 28 100                -> owner 100
    ",
    );
}

#[test]
fn leaving_one_millisecond_before_the_hour_forfeits_it_and_waits_in_full() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 50%  -> asks for 500
        bob accepts o1                  -> 500 in
        at 1d-1ms
        bob leaves o1                   -> 500 count until 7d+86399999ms, out at 21d+86399999ms
        payout w1 22 100                -> owner 50, bob 50
        payout w1 23 100                -> owner 100
        at 8d-1ms
        show w1                         -> 1000/1000: own 1000 co 0 over 0 locked 0
        wake                            -> bob 500 cools until 21d+86399999ms
        at 8d
        slash s1 w1 spoofed-hardware at 8d by proof -> locks 1000 and 0, appeal by 38d
        show s1                         -> open, 1 steps, alice 1000
    ",
    );
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 50%  -> asks for 500
        bob accepts o1                  -> 500 in
        at 1d-1ms
        alice unstakes w1               -> 1000 and bob 500 cool until 14d+86399999ms
        payout w1 22 100                -> owner 50, bob 50
        payout w1 23 100                -> owner 100
    ",
    );
}

#[test]
fn a_slash_locks_in_proportion_and_burns_when_nobody_appeals() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 50%  -> asks for 500
        bob accepts o1                  -> 500 in
        at 1d
        slash s1 w1 foreign-process at 0d+1h by lock rewards alice 7 -> locks 250 and 7, appeal by 31d
        show s1                         -> open, 1 steps, bob 83.33333333, alice 166.66666667, alice 7
        show w1                         -> 1250/1000: own 833.33333333 co 416.66666667 over 250 locked 250
        alice takes 251 w1              -> refused: 250.00 IO can be withdrawn without unstaking, not ...
        at 31d-1ms
        wake                            -> nothing
        at 31d
        alice appeals s1                -> refused: the time to appeal ended at 1970-02-01 00:00 UTC
        wake                            -> burned 250 and 7
        show s1                         -> expired, 2 steps, bob 83.33333333, alice 166.66666667, alice 7
        show w1                         -> 1250/1000: own 833.33333333 co 416.66666667 over 250 locked 0
        overturn s1                     -> refused: the slash is expired
    ",
    );
}

#[test]
fn an_appeal_that_is_won_restores_to_the_unit() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 50%  -> asks for 500
        bob accepts o1                  -> 500 in
        at 8d
        power                           -> alice 1000, bob 500
        slash s1 w1 spoofed-hardware at 8d by clash rewards bob 3 -> locks 1000 and 3, appeal by 38d
        power                           -> alice 333.33333333, bob 166.66666667
        carol appeals s1                -> refused: the slash takes nothing of this account
        uphold s1                       -> refused: the slash is open
        bob appeals s1                  -> decided by 38d
        alice appeals s1                -> refused: the slash is appealed
        at 9d
        overturn s1                     -> restored 1000, bob 3
        power                           -> alice 1000, bob 500
        show w1                         -> 1500/1000: own 1000 co 500 over 500 locked 0
    ",
    );
}

#[test]
fn who_unstakes_under_a_slash_gets_what_is_restored_on_the_same_date() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 50%  -> asks for 500
        bob accepts o1                  -> 500 in
        at 1d
        slash s1 w1 foreign-process at 1d by lock -> locks 250 and 0, appeal by 31d
        alice appeals s1                -> decided by 31d
        at 2d
        alice unstakes w1               -> 833.33333333 and bob 416.66666667 cool until 16d
        at 3d
        overturn s1                     -> restored 250
        show w1                         -> 0/1000: own 0 co 0 over 0 locked 0, bob 500 cools until 16d, alice ...
        at 16d
        alice withdraws w1              -> paid 1000
        bob withdraws w1                -> paid 500
        show o1                         -> Co-Staker Withdrawn, green
    ",
    );
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        slash s1 w1 spoofed-hardware at 0d by proof -> locks 1000 and 0, appeal by 30d
        alice appeals s1                -> decided by 30d
        bob stakes 5 w1                 -> refused: this device is staked by another account: only its owner ...
        alice unstakes w1               -> 0 cool until 14d
        at 20d
        alice withdraws w1              -> refused: this account has no unstaked coins on this device: unstake first
        overturn s1                     -> restored 1000
        alice withdraws w1              -> paid 1000
    ",
    );
}

#[test]
fn unstaking_first_is_no_escape() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice unstakes w1               -> 1000 cool until 14d
        at 14d-1ms
        slash s1 w1 spoofed-hardware at 0d by proof -> locks 1000 and 0, appeal by 43d+86399999ms
        at 14d
        alice withdraws w1              -> refused: this account has no unstaked coins on this device: unstake first
        uphold s1                       -> refused: the slash is open
        at 60d
        wake                            -> burned 1000 and 0
    ",
    );
    // Once they could have been withdrawn, coins answer for nothing, whether they were or not.
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice unstakes w1               -> 1000 cool until 14d
        at 14d
        slash s1 w1 spoofed-hardware at 0d by proof -> refused: nothing answers for the device: no stake, nothing ...
    ",
    );
}

#[test]
fn a_co_staker_answers_only_for_their_own_time() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 50%  -> asks for 500
        at 2d
        bob accepts o1                  -> 500 in
        slash s1 w1 spoofed-hardware at 1d by proof -> locks 1000 and 0, appeal by 32d
        show s1                         -> open, 1 steps, alice 1000
        overturn s1                     -> restored 1000
        bob leaves o1                   -> 500 count until 9d, out at 23d
        at 10d
        wake                            -> bob 500 cools until 23d
        slash s2 w1 spoofed-hardware at 9d+1h by proof -> locks 1000 and 0, appeal by 40d
        show s2                         -> open, 1 steps, alice 1000
        slash s3 w1 spoofed-hardware at 5d by proof -> locks 500 and 0, appeal by 40d
        show s3                         -> open, 1 steps, bob 500
        at 40d
        wake                            -> burned 1000 and 0; burned 500 and 0
        show o1                         -> Offer Closed, green
    ",
    );
}

#[test]
fn a_former_co_staker_does_not_answer_for_what_the_owner_lacks() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 50%  -> asks for 500
        bob accepts o1                  -> 500 in
        bob leaves o1                   -> 500 count until 7d, out at 21d
        at 8d
        wake                            -> bob 500 cools until 21d
        need w1 1400
        slash s1 w1 spoofed-hardware at 7d+1h by proof -> locks 1000 and 0, appeal by 38d
        overturn s1                     -> restored 1000
        slash s2 w1 spoofed-hardware at 6d by proof -> locks 1400 and 0, appeal by 38d
        show s2                         -> open, 1 steps, alice 1000, bob 400
    ",
    );
}

#[test]
fn each_part_keeps_its_own_date() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice unstakes w1               -> 1000 cool until 14d
        at 1d
        slash s1 w1 spoofed-hardware at 0d by proof -> locks 1000 and 0, appeal by 31d
        at 10d
        alice stakes 300 w1             -> 300 count
        alice unstakes w1               -> 300 cool until 24d
        overturn s1                     -> restored 1000
        at 14d
        alice withdraws w1              -> paid 1000
        alice withdraws w1              -> refused: the coins cool down until 1970-01-25 00:00 UTC: withdraw ...
        at 24d
        alice withdraws w1              -> paid 300
    ",
    );
}

#[test]
fn an_owner_keeps_the_larger_part_when_the_need_falls() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 50%  -> asks for 500
        bob accepts o1                  -> 500 in
        need w1 400
        show w1                         -> 1500/400: own 1000 co 500 over 800 locked 0
        alice takes 800 w1              -> paid 800
        show w1                         -> 700/400: own 200 co 500 over 0 locked 0
    ",
    );
}

#[test]
fn several_slashes_never_take_more_than_is_there() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        slash s1 w1 forged-proof at 0d by proof     -> locks 250 and 0, appeal by 30d
        slash s1 w1 forged-proof at 0d by proof     -> refused: the slash sla_00000000000000000000000001 is known ...
        slash s2 w1 spoofed-hardware at 0d by proof -> locks 750 and 0, appeal by 30d
        slash s3 w1 spoofed-hardware at 0d by proof -> refused: nothing answers for the device: no stake, nothing ...
        alice appeals s1                -> decided by 30d
        at 1d
        overturn s1                     -> restored 250
        at 30d
        wake                            -> burned 750 and 0
        show w1                         -> 250/1000: own 250 co 0 over 0 locked 0
    ",
    );
}

#[test]
fn nobody_is_slashed_for_silence() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        slash s1 w1 failed-delivery at 0d by nothing -> refused: failed-delivery takes evidence of at least 2 of ...
        slash s1 w1 failed-delivery at 0d by claim -> refused: failed-delivery takes evidence of at least 2 of ...
        slash s1 w1 failed-delivery at 0d by claim+claim -> refused: failed-delivery takes evidence of at least 2 ...
        slash s1 w1 spoofed-hardware at 0d by report -> refused: spoofed-hardware takes evidence of at least 1 of ...
        slash s1 w1 spoofed-hardware at 1d by proof -> refused: the offence lies in the future
        slash s1 w1 spoofed-hardware at 0d by proof rewards bob 1 -> refused: spoofed-hardware takes no rewards ...
        slash s1 w1 failed-delivery at 0d by claim+rental cards 8 -> locks 8 and 0, appeal by 30d
        slash s2 w1 failed-delivery at 0d by claim+rental cards 800 -> locks 49.6 and 0, appeal by 30d
    ",
    );
}

#[test]
fn an_appeal_that_nobody_decides_is_granted() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        slash s1 w1 spoofed-hardware at 0d by proof rewards alice 2 -> locks 1000 and 2, appeal by 30d
        at 29d
        alice appeals s1                -> decided by 59d
        at 30d
        wake                            -> nothing
        at 59d
        wake                            -> restored 1000, alice 2
        show s1                         -> overturned, 3 steps, alice 1000, alice 2
    ",
    );
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        slash s1 w1 spoofed-hardware at 0d by proof -> locks 1000 and 0, appeal by 30d
        alice appeals s1                -> decided by 30d
        at 5d
        uphold s1                       -> burned 1000 and 0
        show w1                         -> 0/1000: own 0 co 0 over 0 locked 0
        bob stakes 5 w1                 -> 5 count
    ",
    );
}

#[test]
fn flash_stake_has_no_vote() {
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        pool carol stakes 50            -> 50 staked
        power                           -> nobody
        at 7d-1ms
        power                           -> nobody
        alice stakes 9000 w1            -> 10000 count
        at 7d
        power                           -> alice 1000, carol 50
        alice takes 9000 w1             -> paid 9000
        power                           -> alice 1000, carol 50
        alice unstakes w1               -> 1000 cool until 21d
        pool carol unstakes 50          -> cools until 21d
        power                           -> nobody
    ",
    );
    // A wait that is over ends the vote at its moment, swept or not.
    check(
        "
        alice stakes 1000 w1            -> 1000 count
        alice offers o1 w1 50% for 50%  -> asks for 500
        bob accepts o1                  -> 500 in
        at 1d
        bob leaves o1                   -> 500 count until 8d, out at 22d
        at 8d-1ms
        power                           -> alice 1000, bob 500
        at 8d
        power                           -> alice 1000
    ",
    );
}

#[test]
fn a_snapshot_that_does_not_add_up_is_found() {
    let now = Timestamp::from_millis(0);
    let owner = AccountId::from_bits(1);
    let mut stakes = Stakes::default();
    let hundred = Coins::from_units(10_000_000_000);
    let device = Device { worker: WorkerId::from_bits(1), need: hundred, hired: false };
    let rules = StakeRules::default();
    stakes.stake(device.worker, owner, hundred, now).expect("a first stake");
    let id = OfferId::from_bits(1);
    let new = NewOffer { id, owner, portion_bp: 5_000, share_bp: 1 };
    stakes.create_offer(&device, &new, now, &rules).expect("a first offer");
    stakes.accept_offer(id, AccountId::from_bits(2), hundred, now, &rules).expect("open");
    stakes.leave_offer(id, AccountId::from_bits(2), now, &rules).expect("active");
    let written = serde_json::to_string(&stakes).expect("stakes are JSON");
    let check = |from: &str, to: &str, sound: bool| {
        assert!(written.contains(from), "{from} in {written}");
        let read: Stakes = serde_json::from_str(&written.replacen(from, to, 1)).expect("JSON");
        assert_eq!(read.audit().is_ok(), sound, "{from} to {to}");
    };
    check("100.00000000", "100.00000000", true);
    check("\"amount\":\"100.00000000\"", "\"amount\":\"100.00000001\"", false);
    check("\"amount\":\"100.00000000\"", "\"amount\":\"0.00000000\"", false);
    check("\"held\":\"150.00000000\"", "\"held\":\"149.00000000\"", false);
    check("\"held\":\"150.00000000\"", "\"held\":\"184467440737.09551615\"", false);
    check("\"until\":604800000", "\"until\":604800001", false);
    check("\"slashes\":[]", "\"slashes\":[\"sla_00000000000000000000000001\"]", false);
    check("\"offers\":[\"off_00000000000000000000000001\"]", "\"offers\":[]", false);
}

#[test]
fn the_marketplace_shows_what_is_asked_for() {
    let (mut stakes, rules, now) =
        (Stakes::default(), StakeRules::default(), Timestamp::from_millis(0));
    let coins = |text: &str| text.parse::<Coins>().unwrap();
    let owner = AccountId::from_bits(1);
    for (number, share_bp) in [(1, 1_000), (2, 5_000), (3, 9_000)] {
        let device =
            Device { worker: WorkerId::from_bits(number), need: coins("2000"), hired: false };
        stakes.stake(device.worker, owner, coins("2000"), now).unwrap();
        let id = OfferId::from_bits(number);
        let new =
            NewOffer { id, owner, portion_bp: u16::try_from(number).unwrap() * 1_000, share_bp };
        stakes.create_offer(&device, &new, now, &rules).unwrap();
    }
    let listed = |worker: WorkerId| {
        (worker.bits() < 9).then(|| Listed {
            model: if worker.bits() == 1 { "1x L40S" } else { "1x H100 PCIe" }.to_owned(),
            need: coins("2000"),
            reliability_bp: 9_900,
            earned_week: coins("10"),
        })
    };
    let check = |filter: OfferFilter, limit, expected: &[u128]| {
        let rows = stakes.list_offers(&filter, limit, now, listed);
        let ids: Vec<u128> = rows.iter().map(|row| row.id.bits()).collect();
        assert_eq!(ids, expected, "{filter:?}");
    };
    let any = OfferFilter::default;
    check(any(), 200, &[1, 2, 3]);
    check(any(), 2, &[1, 2]);
    check(OfferFilter { after: Some(OfferId::from_bits(2)), ..any() }, 2, &[3]);
    check(OfferFilter { model: Some("h100".to_owned()), ..any() }, 200, &[2, 3]);
    check(OfferFilter { worker: Some(WorkerId::from_bits(2)), ..any() }, 200, &[2]);
    check(OfferFilter { share_min_bp: Some(5_000), ..any() }, 200, &[2, 3]);
    check(OfferFilter { amount_min: Some(coins("400")), ..any() }, 200, &[2, 3]);
    check(OfferFilter { amount_max: Some(coins("400")), ..any() }, 200, &[1, 2]);
    check(OfferFilter { status: Some(OfferStatus::SufficientWaiting), ..any() }, 200, &[1, 2, 3]);
    check(OfferFilter { status: Some(OfferStatus::SufficientActive), ..any() }, 200, &[]);
    check(OfferFilter { reliability_min_bp: Some(9_901), ..any() }, 200, &[]);
    let row = &stakes.list_offers(&any(), 1, now, listed)[0];
    assert_eq!(row.simulated_week, coins("1"));
}

#[test]
fn the_safety_module_shares_what_it_is_given() {
    check(
        "
        pool give 10                    -> refused: nobody stakes in the safety module: the reward has nobody to go to
        pool alice stakes 0.5           -> refused: a member stakes at least 1.00 IO, or nothing: unstake ...
        pool alice stakes 10            -> 10 staked
        pool give 5
        pool bob stakes 22              -> 22 staked
        pool give 4
        pool yield                      -> 9 a week on 32: 146651 bp
        pool alice claims               -> paid 6.25
        pool alice claims               -> refused: this account has nothing to claim
        pool bob claims                 -> paid 2.75
        pool bob unstakes 23            -> refused: 22.00 IO are staked by this account, not 23.00
        pool bob unstakes 21.5          -> refused: a member stakes at least 1.00 IO, or nothing: unstake ...
        pool bob unstakes 22            -> cools until 14d
        pool give 5
        pool bob claims                 -> refused: this account has nothing to claim
        pool bob withdraws              -> refused: the coins cool down until 1970-01-15 00:00 UTC: withdraw ...
        at 14d
        pool yield                      -> 0 a week on 10: 0 bp
        pool bob withdraws              -> paid 22
        pool bob withdraws              -> refused: this account has nothing unstaked: unstake first
        pool alice unstakes 10          -> cools until 28d
        pool alice claims               -> paid 5
    ",
    );
}
