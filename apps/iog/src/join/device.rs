//! What this system must give a member: a device, and addresses that lead to it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::failure::Failure;

/// The capability to make devices and set addresses: its place in the sets of `/proc/self/status`.
const CAP_NET_ADMIN: u32 = 12;
/// The longest name of a device, in bytes.
const NAME_BYTES_MAX: usize = 15;
/// What devices are called, with a number behind it.
const NAME: &str = "iog";

/// Refuses who may not make devices, and says what does without.
pub(super) fn may_make(network: &str) -> Result<(), Failure> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let hint = format!(
        "`sudo -E iog net up {network}` has the right; `iog forward` and `iog ssh` need none"
    );
    if !is_admin(&status) {
        return Err(Failure::refused("making a network device is root's right", hint));
    }
    if !Path::new("/dev/net/tun").exists() {
        let what = "this system has no /dev/net/tun";
        return Err(Failure::refused(what, "`modprobe tun`, or let the container have it"));
    }
    Ok(())
}

fn is_admin(status: &str) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & (1 << CAP_NET_ADMIN) != 0)
}

/// The name for a device: the one that is wished, or one that no device has.
pub(super) fn name(wished: Option<&str>) -> Result<String, Failure> {
    let is_there = |name: &str| Path::new("/sys/class/net").join(name).exists();
    let Some(wished) = wished else {
        let mut names = (0..).map(|number: u32| format!("{NAME}{number}"));
        return Ok(names.find(|name| !is_there(name)).expect("there are fewer devices than names"));
    };
    let is_name = (1..=NAME_BYTES_MAX).contains(&wished.len())
        && wished.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !wished.bytes().all(|byte| byte == b'.');
    if !is_name {
        let what = format!("`{wished}` cannot be a device's name");
        return Err(Failure::usage(what, "up to 15 letters, digits, `-`, `_` and `.`"));
    }
    if is_there(wished) {
        let what = format!("there is a device `{wished}` already");
        return Err(Failure::usage(what, "name another with --interface"));
    }
    Ok(wished.to_owned())
}

/// Refuses addresses that lead elsewhere from here, which would lead nowhere certain afterwards.
pub(super) fn is_free((address, bits): (Ipv4Addr, u8)) -> Result<(), Failure> {
    let routes = fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
    let Some(device) = taken_by(&routes, (address, bits)) else { return Ok(()) };
    let what = format!("the network's addresses, {address}/{bits}, lead to {device} here already");
    Err(Failure::refused(what, format!("what made {device} must end first: `ip route` shows it")))
}

/// The device that a route leads to from a part of this block, or from it and little more.
fn taken_by(routes: &str, (address, bits): (Ipv4Addr, u8)) -> Option<String> {
    let mask_of = |bits: u8| u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
    let (block, block_mask) = (u32::from(address), mask_of(bits));
    let clash = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [device, to, _, _, _, _, _, mask, ..] = fields.as_slice() else { return None };
        let number = |text: &str| Some(u32::from_be(u32::from_str_radix(text, 16).ok()?));
        let (to, mask) = (number(to)?, number(mask)?);
        // A route to all of such networks, or to everywhere, is one that this one goes before.
        (mask >= block_mask && to & block_mask == block).then(|| (*device).to_owned())
    };
    routes.lines().skip(1).find_map(clash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_is_one_bit() {
        assert!(is_admin("Name:\tx\nCapEff:\t0000000000001000\n"));
        assert!(is_admin("CapEff:\t000001ffffffffff\n"));
        for without in ["CapEff:\t0000000000000000\n", "CapEff:\t000001ffffffefff\n", "", "CapEff:"]
        {
            assert!(!is_admin(without), "{without}");
        }
    }

    #[test]
    fn a_name_is_one_that_the_system_takes() {
        assert!(name(None).unwrap().starts_with(NAME));
        assert_eq!(name(Some("mine-0")).unwrap(), "mine-0");
        for wrong in ["", "lo", "sixteen-letters0", "a/b", "a b", ".."] {
            assert!(matches!(name(Some(wrong)), Err(Failure::Usage { .. })), "{wrong}");
        }
    }

    #[test]
    fn only_a_route_as_narrow_as_the_block_is_in_the_way() {
        let head =
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let block = (Ipv4Addr::new(100, 75, 16, 0), 20);
        let at = |to: &str, mask: &str| {
            taken_by(
                &format!("{head}dev0\t{to}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n"),
                block,
            )
        };
        assert_eq!(at("00104B64", "00F0FFFF").as_deref(), Some("dev0"), "the same block");
        assert_eq!(at("05114B64", "FFFFFFFF").as_deref(), Some("dev0"), "one address of it");
        assert_eq!(at("00204B64", "00F0FFFF"), None, "the next block");
        assert_eq!(at("00004064", "0000C0FF"), None, "all such networks");
        assert_eq!(at("00000000", "00000000"), None, "everywhere");
        assert_eq!(taken_by("", block), None);
    }
}
