//! Gangs near each other: how they are made, where hosts are, and that who places them gives nothing away twice.

use placement_bench::Story;
use placement_bench::gangs::{
    FirstFit, Gang, Ground, HostByHost, Matcher, Placer, TightestDomain, gangs, replay,
};

use crate::published::trace;

#[test]
fn hosts_of_eight_cards_share_a_fabric_of_sixteen_and_others_a_site_of_four() {
    let ground = Ground::of(&Story::of(&trace("multigpu30"), 42, &[]));
    let sites = ground.places.iter().map(|place| place.site).max().unwrap();
    for site in 0..sites {
        let hosts: Vec<usize> =
            (0..ground.hosts.len()).filter(|host| ground.places[*host].site == site).collect();
        let is_fabric = ground.places[hosts[0]].is_fabric;
        assert!(hosts.len() <= if is_fabric { 16 } else { 4 });
        let eights = hosts.iter().filter(|host| ground.hosts[**host].cards.free().len() == 8);
        assert_eq!(eights.count(), if is_fabric { hosts.len() } else { 0 });
    }
}

#[test]
fn spans_are_told_from_one_host_to_another_region() {
    let ground = Ground::of(&Story::of(&trace("multigpu30"), 42, &[]));
    let found = |is: &dyn Fn(u32) -> bool| (1..).find(|host| is(*host)).unwrap();
    let place = |host: u32| ground.places[host as usize];
    let eight = found(&|host| place(host).is_fabric);
    let check =
        |hosts: &[u32], expected: u32| assert_eq!(ground.span(hosts), expected, "{hosts:?}");
    check(&[], 0);
    check(&[eight], 0);
    check(&[eight, found(&|host| host != eight && place(host).site == place(eight).site)], 1);
    let other = found(&|host| !place(host).is_fabric);
    check(&[other, found(&|host| host != other && place(host).site == place(other).site)], 2);
    let near = |host: u32| {
        place(host).site != place(other).site && place(host).region == place(other).region
    };
    check(&[other, found(&near)], 3);
    check(&[other, found(&|host| place(host).region != place(other).region)], 4);
}

#[test]
fn gangs_are_of_two_four_and_eight_hosts_by_turns() {
    let made = gangs(&Story::of(&trace("multigpu30"), 42, &[]));
    let several: Vec<usize> =
        made.iter().map(|gang| gang.hosts).filter(|hosts| *hosts > 1).take(4).collect();
    assert_eq!(several, [2, 4, 8, 2]);
    assert!(made.iter().all(|gang| gang.hosts == 1 || gang.each.cards() > 1));
}

#[test]
fn whoever_places_gangs_gives_each_hosts_of_its_own_or_nothing() {
    let trace = trace("multigpu30");
    let story = Story::of(&trace, 42, &[]);
    let ground = Ground::of(&story);
    let placers: [Box<dyn Placer>; 4] = [
        Box::new(FirstFit(ground.hosts.clone())),
        Box::new(TightestDomain(ground.clone())),
        Box::new(HostByHost::new(ground.hosts.clone(), &trace)),
        Box::new(Matcher::new(&ground)),
    ];
    let gangs: Vec<Gang> = gangs(&story).into_iter().take(400).collect();
    for mut placer in placers {
        let mut hosts = ground.hosts.clone();
        for gang in &gangs {
            let chosen = placer.place(gang).expect("400 gangs are far from all there is");
            assert_eq!(chosen.len(), gang.hosts);
            for host in chosen {
                let host = &mut hosts[host as usize];
                assert!(host.fits(&gang.each));
                *host = host.with(&gang.each, 0);
            }
        }
    }
}

#[test]
fn figures_of_a_replay_are_shares() {
    let trace = trace("multigpu30");
    let played = replay(&trace, 42, 20, |ground| {
        Box::new(TightestDomain(ground.clone())) as Box<dyn Placer>
    });
    assert_eq!(played.success_pct, 100.0);
    assert!((19.0..22.0).contains(&played.allocation_pct));
    assert!((1.0..=4.0).contains(&played.span_mean));
}
