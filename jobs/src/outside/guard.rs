//! Pure: which addresses lie on the public internet.
//!
//! Everything else is refused: this machine, its network, what only a provider's machines see
//! (metadata services among it), and every notation in which such an address can hide inside
//! another one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks that are not the public internet, with the length of their prefix (IANA's special
/// purpose registries), and one public address that answers only a provider's own machines.
const NOT_PUBLIC_4: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "behind a carrier's NAT"),
    ([127, 0, 0, 0], 8, "this machine"),
    ([168, 63, 129, 16], 32, "a cloud's own service"),
    ([169, 254, 0, 0], 16, "link-local, metadata services"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "protocols"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 88, 99, 0], 24, "relays"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "measurements"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved, broadcast"),
];

/// Parts of the global unicast range that are no ordinary hosts.
const NOT_PUBLIC_6: &[([u16; 2], u32, &str)] = &[
    ([0x2001, 0x0000], 23, "protocols, Teredo"),
    ([0x2001, 0x0db8], 32, "documentation"),
    ([0x3fff, 0x0000], 20, "documentation"),
];

/// Whether an address belongs to an ordinary host on the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_4(address),
        IpAddr::V6(address) => is_public_6(address),
    }
}

fn is_public_4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_4.iter().any(|(network, prefix, _)| {
        let shift = 32 - prefix;
        address.to_bits() >> shift == Ipv4Addr::from(*network).to_bits() >> shift
    })
}

fn is_public_6(address: Ipv6Addr) -> bool {
    let [first, second, third, .., last_but_one, last] = address.segments();
    // Addresses that carry another one are as public as that one.
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_4(inner);
    }
    if first == 0x64 && second == 0xff9b && address.segments()[2..6] == [0; 4] {
        return is_public_4(joined(last_but_one, last));
    }
    if first == 0x2002 {
        return is_public_4(joined(second, third));
    }
    // Global unicast is 2000::/3; everything else is local, mapped, multicast or reserved.
    let global = first >> 13 == 1;
    let start = (u32::from(first) << 16) | u32::from(second);
    global
        && !NOT_PUBLIC_6.iter().any(|([one, two], prefix, _)| {
            let network = (u32::from(*one) << 16) | u32::from(*two);
            start >> (32 - prefix) == network >> (32 - prefix)
        })
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(addresses: &str, expected: bool) {
        for text in addresses.split_whitespace() {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(is_public(address), expected, "{text}");
        }
    }

    #[test]
    fn hosts_on_the_internet_may_be_reached() {
        check(
            "1.1.1.1 8.8.8.8 93.184.215.14 172.15.255.255 172.32.0.0 100.63.255.255 100.128.0.0
             168.63.129.15 198.17.255.255 198.20.0.0 223.255.255.255 2606:4700::1111
             2a00:1450:4001::200e 2001:200::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1",
            true,
        );
    }

    #[test]
    fn what_lies_beside_us_may_not() {
        check(
            "0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.0.9 168.63.129.16
             169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.168.1.1 198.18.0.1
             198.19.255.255 224.0.0.1 255.255.255.255 ::1 :: fe80::1 fc00::1 fd00:ec2::254 ff02::1
             ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:169.254.169.254 64:ff9b::10.0.0.1
             64:ff9b:1::1 2002:7f00:1::1 2002:a00:1::1 2001:db8::1 2001::1 ::127.0.0.1 100::1
             fec0::1 3fff::1",
            false,
        );
    }

    proptest! {
        #[test]
        fn hiding_an_address_in_another_changes_nothing(bits: u32) {
            let plain = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = plain.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for hidden in [
                plain.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(is_public(hidden.into()), is_public(plain.into()));
            }
        }

        #[test]
        fn what_the_standard_library_calls_local_is_refused(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let local = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_unspecified() || address.is_multicast() || address.is_broadcast()
                || address.is_documentation();
            prop_assert!(!local || !is_public(address.into()));
        }
    }
}
