//! What holds of one private network when its server's clock was wrong, and when a place becomes another's.

use control::NetworkPolicy;
use wire::paper::{MeshKey, SealedPaper, SuiteName};

use super::*;

const OF: NetworkOf = NetworkOf::Rental(RentalId::from_bits(7));
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn network() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A server that begins to keep a network of one node.
fn begun(now: Timestamp) -> Meshes {
    let meshes = Meshes::new(true);
    let wanted = NetworkWanted {
        mesh: MeshId::from_bits(7),
        project: None,
        seats: [(0, (worker(), AccountId::from_bits(1)))].into(),
        services: BTreeMap::new(),
        policy: NetworkPolicy::default(),
    };
    let mesh = Mesh::new((OF, wanted), meshes.next_serial(now), now);
    meshes.with(|table| table.insert(OF, Arc::new(Mutex::new(mesh))));
    meshes
}

fn worker() -> WorkerId {
    WorkerId::from_bits(1)
}

fn key(number: u8) -> NodeKey {
    NodeKey(SigningKey::from_bytes(&[number; 32]).verifying_key().to_bytes())
}

fn says(number: u8, shows: Option<SealedPaper>) -> Said {
    Said {
        place: Place::Node(0),
        whose: Whose::Machine(worker()),
        called: None,
        key: key(number),
        x25519: MeshKey(key(number).0),
        shows,
        suites: vec![SuiteName::Wireguard],
        relays: Vec::new(),
        ways: Vec::new(),
        services: BTreeMap::new(),
    }
}

fn hear(meshes: &Meshes, said: Said, known: Option<u64>, now: Timestamp) -> u64 {
    let hearing = Hearing { known, key: &network(), is_let_in: &|| true };
    *meshes.hear_now(OF, said, &hearing, now).unwrap().revision.borrow()
}

fn sealed(meshes: &Meshes) -> SealedPaper {
    let of = |mesh: &mut Mesh| SealedPaper::clone(&mesh.members[&Place::Node(0)].sealed);
    meshes.in_mesh(OF, of).unwrap()
}

#[test]
fn a_membership_of_a_time_to_come_is_made_anew() {
    let meshes = begun(NOW.after(HOUR));
    let ahead = hear(&meshes, says(1, None), None, NOW.after(HOUR));
    let network = key(7);
    let opened = || sealed(&meshes).open::<wire::paper::Membership>(&network, NOW);
    assert!(opened().is_err(), "the clock was ahead");
    let told = hear(&meshes, says(1, None), Some(ahead), NOW);
    assert!(opened().is_ok() && told > ahead);
}

#[test]
fn a_server_whose_clock_went_back_goes_on_from_what_members_show() {
    let before = begun(NOW);
    let known = hear(&before, says(1, None), None, NOW) + 5;
    let earlier = Timestamp::from_millis(NOW.millis() - 3_600_000);
    let shows = Some(sealed(&before));
    let meshes = begun(earlier);
    let told = hear(&meshes, says(1, shows.clone()), Some(known), earlier);
    assert!(told > known, "members believe no older papers");
    assert_eq!(meshes.in_mesh(OF, |mesh| mesh.is_known), Some(true), "nor half a list");
    let paper: wire::paper::Membership = sealed(&meshes).open(&key(7), earlier).unwrap();
    assert!(paper.serial > known);
    let lying = begun(earlier);
    let told = hear(&lying, says(1, shows), Some(u64::MAX), earlier);
    assert!(told < NOW.after(48 * HOUR).millis(), "what is not signed counts for a day at most");
}

#[test]
fn papers_are_for_who_asked_and_not_for_who_has_the_place_now() {
    let meshes = begun(NOW);
    let (of, place) = (OF, Place::Node(0));
    let asked = |number: u8| Asked { of, place, key: key(number), has: None };
    let issued = |number: u8| issue(&meshes, asked(number), &network()).unwrap();
    hear(&meshes, says(1, None), None, NOW);
    assert!(issued(1).is_some());
    hear(&meshes, says(2, None), None, NOW);
    assert!(issued(1).is_none() && issued(2).is_some());
}

#[tokio::test]
async fn who_waits_for_papers_of_one_network_takes_one_place() {
    let meshes = Arc::new(begun(NOW));
    let first = meshes.place(OF).await.unwrap();
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let meshes = Arc::clone(&meshes);
            tokio::spawn(async move { meshes.place(OF).await.is_some() })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(meshes.issuing.available_permits(), ISSUED_AT_ONCE_MAX - 1);
    drop(first);
    for one in waiting {
        assert!(one.await.unwrap());
    }
    assert_eq!(meshes.issuing.available_permits(), ISSUED_AT_ONCE_MAX);
}
