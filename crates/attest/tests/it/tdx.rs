//! Real TDX quotes with Intel's data of then, quotes of a maker of our own, and what may be done to them.

use attest::collateral::{Collateral, TcbStatus};
use attest::images::{Image, Images, TdxImage};
use attest::tdx::{self, BadChain, Doubt, Expected, Guest, NotAGuest, Quote};
use attest::{Roots, Rules};
use fake_chips::tdx::{FMSPC, Maker, Saying, images};
use units::{DAY, Timestamp};

const QUOTE_V4: &[u8] = include_bytes!("../data/tdx_quote_v4.bin");
const DATA_V4: &[u8] = include_bytes!("../data/tdx_collateral_v4.json");
const QUOTE_V5: &[u8] = include_bytes!("../data/tdx_quote_v5.bin");
const DATA_V5: &[u8] = include_bytes!("../data/tdx_collateral_v5.json");
/// 2025-06-25, when the first quote's data was fresh.
const JUNE: Timestamp = Timestamp::from_millis(1_750_809_600_000);
/// 2026-03-01, when the second quote's data was fresh.
const MARCH: Timestamp = Timestamp::from_millis(1_772_323_200_000);

/// Everything that a quote needs, as it passes; tests change one thing.
struct Case {
    quote: Vec<u8>,
    report_data: [u8; 64],
    images: Images,
    collateral: Vec<Vec<u8>>,
    rules: Rules,
    roots: Roots,
    now: Timestamp,
}

impl Case {
    fn real(quote: &[u8], data: &[u8], now: Timestamp) -> Self {
        let read = tdx::parse(quote).unwrap();
        let tdx = TdxImage { mr_td: read.td.mr_td, rtmr: read.td.rtmr.map(Some) };
        let image = Image { name: "sample".to_owned(), snp: Vec::new(), tdx: vec![tdx] };
        Self {
            quote: quote.to_vec(),
            report_data: read.td.report_data,
            images: Images { images: vec![image], ..Images::default() },
            collateral: vec![data.to_vec()],
            rules: Rules::default(),
            roots: Roots::default(),
            now,
        }
    }

    /// Of a maker that is believed.
    fn made(change: impl FnOnce(&mut Saying)) -> Self {
        let maker = maker();
        let mut saying = Saying::good([7; 64]);
        change(&mut saying);
        let mut roots = Roots::default();
        roots.believe_intel(maker.root().as_bytes()).unwrap();
        Self {
            quote: maker.processor("a").quote(&saying),
            report_data: [7; 64],
            images: images(JUNE),
            collateral: vec![maker.collateral(&[], JUNE)],
            rules: Rules::default(),
            roots,
            now: JUNE.after(DAY),
        }
    }

    fn judge(&self) -> Result<Guest, NotAGuest> {
        let mut collateral = Collateral::default();
        for file in &self.collateral {
            collateral.add(file).unwrap();
        }
        let expected = Expected {
            report_data: &self.report_data,
            images: &self.images,
            collateral: &collateral,
            rules: &self.rules,
            roots: &self.roots,
        };
        tdx::verify(&self.quote, &expected, self.now)
    }
}

fn maker() -> Maker {
    let year = DAY * 366;
    Maker::new("Maker", Timestamp::from_millis(JUNE.millis() - 86_400_000), JUNE.after(year))
}

fn real(change: impl FnOnce(&mut Case)) -> Result<Guest, NotAGuest> {
    let mut case = Case::real(QUOTE_V4, DATA_V4, JUNE);
    change(&mut case);
    case.judge()
}

#[test]
fn a_real_guest_is_believed() {
    let guest = real(|_| {}).unwrap();
    assert_eq!((guest.image.as_str(), guest.status), ("sample", TcbStatus::UpToDate));
    assert_eq!(guest.platform.fmspc, [0xb0, 0xc0, 0x6f, 0, 0, 0]);
    // The data of firmware is the first to be renewed: 2025-07-19T10:00:35Z, the list of processors.
    assert_eq!(guest.until.millis(), 1_752_919_235_000);
}

#[test]
fn a_real_guest_of_version_five_with_old_firmware_is_refused_for_that() {
    // The eighth part of the platform is at 3, and at 5 in the lowest level that Intel lists.
    let refused = Case::real(QUOTE_V5, DATA_V5, MARCH).judge();
    assert_eq!(refused, Err(NotAGuest::TcbUnlisted));
}

#[test]
fn a_real_guest_is_refused_for_what_is_wrong_with_it() {
    let refused = |change: fn(&mut Case), why: NotAGuest| assert_eq!(real(change), Err(why));
    refused(|case| case.quote.truncate(4_000), NotAGuest::Quote);
    refused(|case| case.quote.push(1), NotAGuest::Quote);
    refused(|case| case.quote[0] = 3, NotAGuest::Quote);
    refused(|case| case.quote[48] ^= 1, NotAGuest::Signature);
    refused(|case| case.quote[636] ^= 1, NotAGuest::Signature);
    refused(|case| case.quote[700] ^= 1, NotAGuest::EnclaveKey);
    refused(|case| case.quote[800] ^= 1, NotAGuest::EnclaveSignature);
    refused(|case| case.report_data[0] ^= 1, NotAGuest::ReportData);
    refused(|case| case.images.images.clear(), NotAGuest::Image);
    refused(|case| case.now = Timestamp::from_millis(1), NotAGuest::Chain(BadChain::Time));
    let none = Doubt::None { fmspc: "b0c06f000000".to_owned() };
    refused(|case| case.collateral.clear(), NotAGuest::Doubt(none));
    let old = Doubt::Old { what: "levels of firmware" };
    refused(|case| case.now = JUNE.after(DAY * 40), NotAGuest::Doubt(old));
    let grace = real(|case| {
        case.now = JUNE.after(DAY * 40);
        case.rules.collateral_grace_days = 20;
    });
    assert!(grace.is_ok(), "{grace:?}");
}

#[test]
fn what_intel_did_not_sign_is_a_doubt() {
    let altered = |from: &str, to: &str| {
        let text = String::from_utf8(DATA_V4.to_vec()).unwrap();
        assert!(text.contains(from), "{from}");
        real(|case| case.collateral = vec![text.replacen(from, to, 1).into_bytes()])
    };
    let bad = |what| Err(NotAGuest::Doubt(Doubt::Bad { what }));
    assert_eq!(altered("UpToDate", "SWHardeningNeeded"), bad("levels of firmware"));
    assert_eq!(altered("2025-07-19T10:16:03Z", "2035-07-19T10:16:03Z"), bad("levels of firmware"));
    assert_eq!(altered("FBFFFFFF", "00000000"), bad("quoting enclave"));
}

#[test]
fn every_bit_of_a_quote_counts() {
    let check = |original: &[u8]| {
        let read: Quote = tdx::parse(original).unwrap();
        for bit in 0..original.len() * 8 {
            // Either it no longer reads, or something that is signed, or a signature, is another.
            assert_ne!(tdx::parse(&turn(original, bit)).as_ref(), Some(&read), "bit {bit}");
        }
    };
    check(QUOTE_V4);
    check(QUOTE_V5);
}

#[test]
fn no_bit_of_a_quote_is_believed() {
    let mut case = Case::real(QUOTE_V4, DATA_V4, JUNE);
    // A bit of each byte of what has a place of its own, and one in so many of the rest.
    let structural = (0..48).chain(632..840).chain(1_148..1_290).map(|byte| byte * 8 + byte % 8);
    for bit in structural.chain((0..QUOTE_V4.len() * 8).step_by(67)) {
        case.quote = turn(QUOTE_V4, bit);
        assert!(case.judge().is_err(), "bit {bit}");
    }
}

#[test]
#[ignore = "a minute: every bit of the quote"]
fn every_bit_of_a_quote_is_refused() {
    let mut case = Case::real(QUOTE_V4, DATA_V4, JUNE);
    for bit in 0..QUOTE_V4.len() * 8 {
        case.quote = turn(QUOTE_V4, bit);
        assert!(case.judge().is_err(), "bit {bit}");
    }
}

#[test]
fn a_made_guest_is_believed_under_its_makers_root_only() {
    for version in [4, 5] {
        let guest = Case::made(|saying| saying.version = version).judge().unwrap();
        assert_eq!((guest.image.as_str(), guest.platform.fmspc), ("guest for tests", FMSPC));
    }
    let mut case = Case::made(|_| {});
    case.roots = Roots::default();
    assert_eq!(case.judge(), Err(NotAGuest::Chain(BadChain::Root)));
}

#[test]
fn a_made_guest_is_refused_for_what_it_says() {
    let said = |change: fn(&mut Saying)| Case::made(change).judge();
    assert_eq!(said(|saying| saying.attributes |= 1), Err(NotAGuest::Attributes), "debug");
    assert_eq!(
        said(|saying| saying.attributes |= 1 << 29),
        Err(NotAGuest::Attributes),
        "migration"
    );
    assert_eq!(said(|saying| saying.report_data = [8; 64]), Err(NotAGuest::ReportData));
    let old = NotAGuest::Tcb { status: TcbStatus::OutOfDate };
    assert_eq!(said(|saying| saying.module_svn = 2), Err(old));
    assert_eq!(said(|saying| saying.module_svn = 1), Err(NotAGuest::TcbUnlisted));
}

#[test]
fn a_revoked_processor_is_refused_however_old_the_list() {
    let mut case = Case::made(|_| {});
    let serial = maker().processor("a").serial;
    case.collateral = vec![maker().collateral(std::slice::from_ref(&serial), JUNE)];
    case.now = JUNE.after(DAY * 100);
    let serial = data_encoding::HEXLOWER.encode(&serial);
    let serial = serial.trim_start_matches("00").to_owned();
    assert_eq!(case.judge(), Err(NotAGuest::Revoked { serial }));
}

#[test]
fn the_pinned_root_is_intels() {
    let block = tdx::ROOT_PEM.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let der = data_encoding::BASE64.decode(block.as_bytes()).unwrap();
    assert_eq!(attest::chain::fingerprint(&der), tdx::ROOT_SHA256);
}

fn turn(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut turned = bytes.to_vec();
    turned[bit / 8] ^= 1 << (bit % 8);
    turned
}
