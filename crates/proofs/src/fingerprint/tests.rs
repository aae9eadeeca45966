//! Which cards are told apart, and what does not fool anybody.

use proptest::prelude::*;

use super::*;

/// A card as the reference expects it, with all its rates times `factor`.
fn like(model: &str, factor: f64) -> Measured {
    let reference = Reference::built_in();
    let row = reference.model(model).unwrap();
    let rates = [Rate::Matmul { log_n: 15 }, Rate::Mix, Rate::Walk];
    let rates = rates.map(|rate| (rate, reference.expected(row, rate).unwrap().median * factor));
    Measured {
        kind: DeviceKind::Gpu,
        rates: rates.into(),
        filled_mib: Some(row.memory_mib / 10 * 9),
        reported: BTreeMap::new(),
    }
}

fn probability(of: &str, measured: &Measured) -> f64 {
    let reference = Reference::built_in();
    likelihoods(measured, &reference).iter().find(|(model, _)| *model == of).unwrap().1
}

/// Somewhat like what an H100 gives: 2.7 TB/s while walking, 0.62 POPS, 73 GiB filled.
fn h100() -> Measured {
    let rates = [(Rate::Matmul { log_n: 15 }, 6.2e14), (Rate::Mix, 2.4e11), (Rate::Walk, 2.7e12)];
    Measured {
        kind: DeviceKind::Gpu,
        rates: rates.into(),
        filled_mib: Some(74_000),
        reported: BTreeMap::new(),
    }
}

#[test]
fn an_h100_is_no_4090_no_a100_and_no_l40s() {
    let reference = Reference::built_in();
    let likely = likelihoods(&h100(), &reference);
    assert_eq!(likely[0].0, "h100-80gb-hbm3");
    assert!(likely[0].1 > 0.7, "{}", likely[0].1);
    for (other, most) in [
        ("a100-sxm4-80gb", 0.03),
        ("a100-80gb-pcie", 0.03),
        ("a100-pcie-40gb", 1e-6),
        ("rtx-4090", 1e-6),
        ("l40s", 1e-6),
    ] {
        assert!(probability(other, &h100()) < most, "{other}");
        let said = verdict(other, &h100(), &reference);
        assert!(matches!(said, Verdict::Other { .. }), "{other}: {said:?}");
    }
}

/// The reference, with rates of both models as if they had been measured, and spread by so much.
fn with_both_measured(spread: f64) -> Reference {
    let mut reference = Reference::built_in();
    for name in ["rtx-4090", "rtx-4090-d"] {
        let rates = like(name, 1.0).rates.into_iter();
        let measured = rates.map(|(rate, median)| (rate, LogNormal { median, spread })).collect();
        reference.models.iter_mut().find(|row| row.model == name).unwrap().measured = measured;
    }
    reference
}

#[test]
fn a_4090_d_is_told_from_a_4090_once_both_are_measured_and_not_by_data_sheets() {
    let card = like("rtx-4090-d", 0.97);
    let by_data_sheets = verdict("rtx-4090", &card, &Reference::built_in());
    assert!(matches!(by_data_sheets, Verdict::Consistent { .. }), "{by_data_sheets:?}");
    let by_measurement = verdict("rtx-4090", &card, &with_both_measured(0.02));
    let Verdict::Other { model, slower, .. } = &by_measurement else {
        panic!("{by_measurement:?}")
    };
    assert_eq!((model.as_str(), *slower), ("rtx-4090-d", true));
    let honest = verdict("rtx-4090", &like("rtx-4090", 0.97), &with_both_measured(0.02));
    assert!(matches!(honest, Verdict::Consistent { .. }), "{honest:?}");
}

#[test]
fn a_claim_that_holds_is_consistent() {
    let reference = Reference::built_in();
    for row in reference.models.iter().filter(|row| row.bounds.is_some()) {
        let said = verdict(&row.model, &like(&row.model, 1.0), &reference);
        assert!(matches!(said, Verdict::Consistent { .. }), "{}: {said:?}", row.model);
    }
}

#[test]
fn a_weaker_card_that_claims_to_be_an_h100_is_named() {
    let reference = Reference::built_in();
    for model in ["rtx-4090", "a100-sxm4-80gb", "l40s", "rtx-3090", "t4"] {
        let Verdict::Other { model: named, slower, .. } =
            verdict("h100-80gb-hbm3", &like(model, 1.0), &reference)
        else {
            panic!("{model} was not named");
        };
        assert!(slower, "{model} was taken for {named}");
        let class = |name: &str| reference.model(name).unwrap().memory_mib;
        assert_eq!(class(&named), class(model), "{model} was taken for {named}");
    }
}

#[test]
fn a_better_card_that_claims_less_is_named_too_and_not_called_slower() {
    let said = verdict("rtx-4090", &h100(), &Reference::built_in());
    assert!(matches!(said, Verdict::Other { slower: false, .. }), "{said:?}");
}

#[test]
fn a_throttled_card_is_still_itself_because_ratios_count() {
    let throttled = like("h100-80gb-hbm3", 0.75);
    let said = verdict("h100-80gb-hbm3", &throttled, &Reference::built_in());
    assert!(matches!(said, Verdict::Consistent { .. }), "{said:?}");
    let mut uneven = throttled;
    *uneven.rates.get_mut(&Rate::Matmul { log_n: 15 }).unwrap() *= 0.25;
    assert!(probability("h100-80gb-hbm3", &uneven) < 0.05);
}

#[test]
fn a_model_that_nobody_listed_is_unknown_and_has_a_class() {
    let rates = [(Rate::Matmul { log_n: 15 }, 1e13), (Rate::Mix, 1e12), (Rate::Walk, 2e13)];
    let odd = Measured {
        kind: DeviceKind::Gpu,
        rates: rates.into(),
        filled_mib: Some(42_000),
        reported: BTreeMap::new(),
    };
    let class = Some("gpu-40gb".to_owned());
    for claim in ["h100-80gb-hbm3", "nobody-knows-it"] {
        let said = verdict(claim, &odd, &Reference::built_in());
        assert_eq!(said, Verdict::Unknown { class: class.clone() }, "{claim}");
    }
}

#[test]
fn nothing_measured_says_nothing() {
    let reference = Reference::built_in();
    let (kind, rates, reported) = (DeviceKind::Gpu, BTreeMap::new(), BTreeMap::new());
    let none = Measured { kind, rates, filled_mib: None, reported };
    assert_eq!(verdict("t4", &none, &reference), Verdict::Unknown { class: None });
    let nonsense = Measured { rates: [(Rate::Walk, f64::NAN)].into(), ..none };
    assert_eq!(verdict("t4", &nonsense, &reference), Verdict::Unknown { class: None });
}

#[test]
fn a_card_that_holds_more_than_a_model_has_is_not_that_model() {
    let mut card = like("a100-pcie-40gb", 1.0);
    assert!(probability("a100-pcie-40gb", &card) > 0.5);
    card.filled_mib = Some(44_000);
    assert!(probability("a100-pcie-40gb", &card) < 1e-9);
}

#[test]
fn what_a_machine_says_of_itself_counts_for_little() {
    let mut liar = like("rtx-4090", 1.0);
    let before = probability("h100-80gb-hbm3", &liar);
    liar.reported = [("sm_count".to_owned(), 132.0)].into();
    let after = probability("h100-80gb-hbm3", &liar);
    assert!(after <= before * (2.0 * REPORTED_WEIGHT_MAX).exp(), "{before} {after}");
    let said = verdict("h100-80gb-hbm3", &liar, &Reference::built_in());
    assert!(matches!(said, Verdict::Other { .. }), "{said:?}");
}

#[test]
fn the_reference_that_is_built_in_reads_back_as_itself() {
    let reference = Reference::built_in();
    let text = serde_json::to_string(&reference).unwrap();
    assert_eq!(Reference::read(&text), Ok(reference));
}

#[test]
fn references_that_do_not_hold_are_refused() {
    let reference = Reference::built_in();
    let mut other = reference.clone();
    other.version = 2;
    assert_eq!(other.check(), Err(BadReference::Version { found: 2 }));
    let mut other = reference.clone();
    other.models.push(other.models[0].clone());
    assert!(matches!(other.check(), Err(BadReference::Models { .. })));
    let mut other = reference.clone();
    other.shared_spread = 0.0;
    assert!(matches!(other.check(), Err(BadReference::Figure { .. })));
    let mut other = reference;
    other.models[3].measured = [(Rate::Mix, LogNormal { median: -1.0, spread: 1.0 })].into();
    assert!(matches!(other.check(), Err(BadReference::Figure { .. })));
    assert!(matches!(Reference::read("{"), Err(BadReference::Text(_))));
    assert!("matmul-17".parse::<Rate>().is_err() && "matmul-08".parse::<Rate>().is_err());
}

#[test]
fn a_shared_factor_costs_less_than_the_same_deviations_apart() {
    let same = together(&[(0.4, 0.1), (0.4, 0.1)], 0.25);
    let apart = together(&[(0.4, 0.1), (-0.4, 0.1)], 0.25);
    assert!(same > apart + 10.0, "{same} {apart}");
    // With one rate the spreads add as squares: a plain normal distribution.
    let (off, spread) = (0.3_f64, (0.1_f64 * 0.1 + 0.25 * 0.25).sqrt());
    let plain = -0.5 * (off / spread).powi(2) - spread.ln();
    assert!((together(&[(off, 0.1)], 0.25) - plain).abs() < 1e-9);
}

#[test]
fn memory_is_mixed_as_a_card_needs_it_and_no_two_kinds_need_the_same() {
    let reference = Reference::built_in();
    let mix = |model: &str| reference.model(model).unwrap().bounds.unwrap().mix(50.0);
    let of = ["h100-80gb-hbm3", "a100-sxm4-80gb", "l40s", "rtx-4090", "rtx-5090"].map(mix);
    assert_eq!(of, [334, 320, 1768, 1366, 1950]);
    for row in reference.models.iter().filter_map(|row| row.bounds) {
        let mix = row.mix(50.0);
        assert!((MIX_MIN..=MIX_MAX).contains(&mix) && mix.is_multiple_of(2), "{mix}");
    }
    let odd = Bounds { int8_ops: 1.0, int32_ops: f64::MAX, memory_bytes: 1e-300 };
    assert_eq!(odd.mix(1e300), MIX_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn probabilities_are_probabilities(
        walk in 1e6_f64..1e15,
        matmul in 1e6_f64..1e18,
        mix in 1e3_f64..1e15,
        filled in 0_u64..400_000,
    ) {
        let rates = [(Rate::Matmul { log_n: 14 }, matmul), (Rate::Mix, mix), (Rate::Walk, walk)];
        let (kind, filled_mib, reported) = (DeviceKind::Gpu, Some(filled), BTreeMap::new());
        let measured = Measured { kind, rates: rates.into(), filled_mib, reported };
        let reference = Reference::built_in();
        let likely = likelihoods(&measured, &reference);
        prop_assert_eq!(likely.len(), reference.of_kind(DeviceKind::Gpu).count());
        prop_assert!(likely.iter().all(|(_, probability)| (0.0..=1.0).contains(probability)));
        prop_assert!(likely.iter().map(|(_, probability)| probability).sum::<f64>() <= 1.0 + 1e-9);
        verdict("rtx-4090", &measured, &reference);
    }
}
