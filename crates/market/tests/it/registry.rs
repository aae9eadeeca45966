//! The device registry.

use market::{ALIASES_MAX, Ceilings, Class, Found, Registry, RegistryFault};
use proptest::prelude::*;
use units::{DeviceKind, Multiplier, Pool};

#[test]
fn the_list_that_is_there_from_the_start_makes_sense() {
    let registry = Registry::default();
    assert_eq!(registry.check(), Ok(()));
    assert_eq!(registry.models.len(), 58);
    let text = serde_json::to_string(&registry).unwrap();
    assert_eq!(serde_json::from_str::<Registry>(&text).unwrap(), registry);
}

/// What a driver reports → key, pool, multiplier, ceilings.
#[test]
fn drivers_names_are_known() {
    let rows = [
        ("NVIDIA B200", "b200 enterprise 30.00 30/5"),
        ("NVIDIA H200", "h200 enterprise 12.00 30/5"),
        ("NVIDIA H100 80GB HBM3", "h100-80gb-hbm3 enterprise 10.00 30/5"),
        ("NVIDIA H100 PCIe", "h100-pcie enterprise 10.00 30/5"),
        ("nvidia  h100 80GB pcie", "h100-80g-pcie enterprise 10.00 30/5"),
        ("NVIDIA A100 80GB PCIe", "a100-80gb-pcie enterprise 5.00 30/5"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm4-80gb enterprise 5.00 30/5"),
        ("A100-PCIE-40GB", "a100-pcie-40gb enterprise 2.00 30/5"),
        ("NVIDIA L40S", "l40s enterprise 3.00 30/5"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090 enterprise 1.25 30/5"),
        ("GeForce RTX 4090 D", "rtx-4090-d enterprise 1.25 30/5"),
        ("NVIDIA GeForce RTX 5090", "rtx-5090 enterprise 1.75 30/5"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada community 4.50 30/5"),
        ("NVIDIA RTX A6000", "rtx-a6000 community 2.00 30/5"),
        ("Tesla T4", "t4 community 0.50 30/5"),
        ("Tesla V100-SXM2-32GB", "v100-sxm2-32gb community 0.75 30/5"),
        ("NVIDIA GeForce RTX 3070 Ti", "rtx-3070-ti community 1.00 30/20"),
        ("NVIDIA GeForce RTX 4080", "rtx-4080 community 2.75 30/20"),
        ("Quadro RTX 5000", "rtx-5000 community 1.50 30/20"),
        ("NVIDIA A10G", "a10g community 0.00 30/5"),
        ("NVIDIA GeForce GTX 1080 Ti", "gtx-1080-ti community 0.00 30/20"),
        ("Apple M3 Max", "m3-max community 1.50 30/-"),
        ("Apple M4", "m4 community 1.00 30/-"),
        ("Apple M2 Ultra", "m2-ultra community 0.00 30/-"),
        ("NVIDIA GeForce RTX 3070 Laptop GPU", "none"),
        ("NVIDIA GeForce RTX 4080 SUPER", "none"),
        ("NVIDIA RTX 4000 Ada Generation", "none"),
        ("NVIDIA", "none"),
        ("", "none"),
    ];
    let registry = Registry::default();
    for (name, expected) in rows {
        let found = registry.entry(name).map(|(key, model)| {
            let gpu = model.gpu_max_pct.map_or("-".to_owned(), |pct| pct.to_string());
            let ceilings = format!("{}/{gpu}", model.cpu_max_pct);
            format!("{key} {} {} {ceilings}", model.pool, model.multiplier)
        });
        assert_eq!(found.as_deref().unwrap_or("none"), expected, "{name}");
    }
}

#[test]
fn a_card_that_is_not_listed_is_offered_by_its_memory_and_earns_no_reward() {
    let rows = [
        (183_359, "gpu-80gb"),
        (61_440, "gpu-80gb"),
        (61_439, "gpu-40gb"),
        (30_720, "gpu-40gb"),
        (18_432, "gpu-24gb"),
        (13_312, "gpu-16gb"),
        (6_144, "gpu-8gb"),
        (6_143, "gpu-small"),
        (0, "gpu-small"),
    ];
    let registry = Registry::default();
    for (vram_mib, class) in rows {
        let found = registry.classify("Tomorrow 1", vram_mib);
        assert_eq!(found.class().to_string(), class, "{vram_mib} MiB");
        assert_eq!(found.multiplier(), Multiplier::default());
        assert_eq!(found.pool(), None);
        assert_eq!(registry.hour(&found), registry.class_hours[&found.class()]);
        let ceilings = Ceilings { cpu_max_pct: 30, gpu_max_pct: Some(20) };
        assert_eq!(registry.ceilings(&found), ceilings);
    }
}

#[test]
fn a_processor_that_is_not_listed_is_offered_by_its_threads() {
    let registry = Registry::default();
    let rows = [(1, "cpu-small"), (8, "cpu-8"), (31, "cpu-16"), (63, "cpu-32"), (64, "cpu-64")];
    for (threads, class) in rows {
        let found = registry.classify_cpu("AMD Ryzen Threadripper 3990X 64-Core", threads);
        assert_eq!(found.class().to_string(), class, "{threads} threads");
        assert_eq!(found.multiplier(), Multiplier::default());
        assert_eq!(registry.ceilings(&found).gpu_max_pct, None);
    }
    assert_eq!(registry.classify_cpu("Apple M4", 10).multiplier(), Multiplier::ONE);
}

#[test]
fn a_card_is_never_taken_for_a_processor() {
    let registry = Registry::default();
    assert_eq!(registry.classify("Apple M4", 8_192), Found::ByClass(Class::Gpu8));
    assert_eq!(registry.classify_cpu("NVIDIA B200", 4), Found::ByClass(Class::CpuSmall));
}

#[test]
fn a_model_struck_from_the_list_counts_as_not_known() {
    let mut registry = Registry::default();
    registry.models.get_mut("b200").unwrap().listed = false;
    assert_eq!(registry.check(), Ok(()));
    assert!(registry.find("NVIDIA B200").is_some());
    assert_eq!(registry.classify("NVIDIA B200", 183_359), Found::ByClass(Class::Gpu80));
}

#[test]
fn a_model_that_counts_for_nothing_shares_in_no_pool() {
    let registry = Registry::default();
    assert_eq!(registry.classify("NVIDIA A40", 46_068).pool(), None);
    assert_eq!(registry.classify("NVIDIA L40S", 46_068).pool(), Some(Pool::Enterprise));
}

#[test]
fn nobody_gains_by_not_being_listed() {
    let registry = Registry::default();
    for (key, model) in &registry.models {
        assert!(registry.class_hours[&model.class] <= model.hour, "{key}");
    }
    for pair in Class::ALL.windows(2).filter(|pair| pair[0].kind() == pair[1].kind()) {
        assert!(registry.class_hours[&pair[0]] <= registry.class_hours[&pair[1]], "{pair:?}");
    }
}

/// Prices seen on io.net's explorer in 2024 and 2025.
#[test]
fn prices_that_were_seen_are_those_of_the_list() {
    let registry = Registry::default();
    let seen = [
        ("NVIDIA A100-SXM4-80GB", "1.500000"),
        ("NVIDIA GeForce RTX 3070", "0.115000"),
        ("NVIDIA GeForce RTX 3080", "0.200000"),
        ("NVIDIA GeForce RTX 4090", "0.370000"),
        ("NVIDIA H100 80GB HBM3", "1.190000"),
        ("NVIDIA H100 PCIe", "0.890000"),
    ];
    for (model, hour) in seen {
        assert_eq!(registry.find(model).unwrap().hour.to_string(), hour, "{model}");
    }
}

#[test]
fn a_registry_that_makes_no_sense_is_refused() {
    let key = || "b200".to_owned();
    let check = |change: &dyn Fn(&mut Registry), expected: RegistryFault| {
        let mut registry = Registry::default();
        change(&mut registry);
        assert_eq!(registry.check(), Err(expected));
    };
    let small = |r: &mut Registry| r.models.get_mut("b200").unwrap().vram_mib = 8_192;
    check(&small, RegistryFault::WrongClass { key: key(), class: Class::Gpu80 });
    let cpu = |r: &mut Registry| r.models.get_mut("b200").unwrap().kind = DeviceKind::Cpu;
    check(&cpu, RegistryFault::WrongClass { key: key(), class: Class::Gpu80 });
    let no_ceiling = |r: &mut Registry| r.models.get_mut("b200").unwrap().gpu_max_pct = None;
    check(&no_ceiling, RegistryFault::BadCeiling { key: key() });
    let high = |r: &mut Registry| r.unlisted_cpu.cpu_max_pct = 101;
    check(&high, RegistryFault::BadCeiling { key: "unlisted_cpu".to_owned() });
    let nameless = |r: &mut Registry| r.models.get_mut("b200").unwrap().name = "NVIDIA".to_owned();
    check(&nameless, RegistryFault::BadName { key: key(), name: "NVIDIA".to_owned() });
    let crowded = |r: &mut Registry| {
        r.models.get_mut("b200").unwrap().aliases = vec!["B200".to_owned(); ALIASES_MAX + 1];
    };
    check(&crowded, RegistryFault::TooManyNames { key: key(), most: ALIASES_MAX });
    let twice = |r: &mut Registry| {
        r.models.get_mut("h200").unwrap().aliases.push("nvidia b-200".to_owned())
    };
    let (h200, name) = ("h200".to_owned(), "nvidia b-200".to_owned());
    check(&twice, RegistryFault::SharedName { key: h200, other: key(), name });
    let shouted = |r: &mut Registry| {
        let model = r.models.remove("b200").unwrap();
        r.models.insert("B200".to_owned(), model);
    };
    check(&shouted, RegistryFault::BadKey { key: "B200".to_owned() });
    let class = |r: &mut Registry| r.class_hours.retain(|class, _| *class != Class::Gpu24);
    check(&class, RegistryFault::NoClassPrice { class: Class::Gpu24 });
}

proptest! {
    #[test]
    fn spelling_does_not_matter(row in 0_usize..58, upper: bool, gaps in 0_usize..4, vendor: bool) {
        let registry = Registry::default();
        let (key, model) = registry.models.iter().nth(row).unwrap();
        let spaced: String = model.name.split(' ').collect::<Vec<_>>().join(&" ".repeat(gaps));
        let spelled = if upper { spaced.to_uppercase() } else { spaced.to_lowercase() };
        let name = if vendor { format!(" nVidia {spelled} ") } else { spelled };
        prop_assert_eq!(registry.entry(&name).map(|found| found.0), Some(key.as_str()), "{}", name);
    }

    #[test]
    fn any_name_is_classified(name: String, vram_mib: u64, threads: u32) {
        let registry = Registry::default();
        for found in [registry.classify(&name, vram_mib), registry.classify_cpu(&name, threads)] {
            prop_assert!(!registry.hour(&found).is_zero());
        }
    }
}
