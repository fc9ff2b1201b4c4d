use super::*;

fn here(address: &str) -> Here {
    Here {
        addresses: vec![address.parse().expect("address")],
        pod_cidrs: vec!["10.42.0.0/24".parse().expect("cidr")],
    }
}

/// `name address,… cidr,…`
fn peer(text: &str) -> Peer {
    let words: Vec<&str> = text.split(' ').collect();
    Peer {
        node: words[0].into(),
        addresses: words[1].split(',').map(|a| a.parse().expect("address")).collect(),
        pod_cidrs: words[2].split(',').map(|c| c.parse().expect("cidr")).collect(),
    }
}

fn check(attached: &[&str], peers: &[&str], expected: &str) {
    let attached: Vec<Attached> = attached
        .iter()
        .enumerate()
        .map(|(i, n)| Attached { network: n.parse().expect("network"), link: i as u32 + 1 })
        .collect();
    let peers: Vec<Peer> = peers.iter().map(|p| peer(p)).collect();
    let ways = ways(&here("192.0.2.1"), &attached, &peers);
    let mut seen: Vec<String> = ways
        .routes
        .iter()
        .map(|(cidr, hop)| match hop {
            Hop::Link { via, link } => format!("{cidr} via {via} link {link}"),
            Hop::Tunnel { via } => format!("{cidr} tunnel {via}"),
        })
        .collect();
    seen.extend(ways.tunnels.iter().map(|f| format!("far {} {:02x?}", f.underlay, f.mac)));
    seen.extend(ways.refused);
    assert_eq!(seen.join("\n"), expected);
}

#[test]
fn neighbours_get_routes_and_others_a_tunnel() {
    check(
        &["192.0.2.1/24"],
        &["b 192.0.2.2 10.42.1.0/24", "c 198.51.100.7 10.42.2.0/24"],
        "10.42.1.0/24 via 192.0.2.2 link 1\n10.42.2.0/24 tunnel 10.42.2.0\nfar 198.51.100.7 [0a, 6b, 0a, 2a, 02, 00]",
    );
}

#[test]
fn a_family_without_an_address_goes_through_the_tunnel() {
    check(
        &["192.0.2.1/24"],
        &["b 192.0.2.2 10.42.1.0/24,fd42:1::/64"],
        "10.42.1.0/24 via 192.0.2.2 link 1\nfd42:1::/64 tunnel fd42:1::\nfar 192.0.2.2 [0a, 6b, 0a, 2a, 01, 00]",
    );
    check(
        &["192.0.2.1/24", "2001:db8::1/64"],
        &["b 192.0.2.2,2001:db8::2 10.42.1.0/24,fd42:1::/64"],
        "10.42.1.0/24 via 192.0.2.2 link 1\nfd42:1::/64 via 2001:db8::2 link 2",
    );
}

#[test]
fn a_single_address_shares_no_link() {
    check(
        &["192.0.2.1/32"],
        &["b 192.0.2.2 10.42.1.0/24"],
        "10.42.1.0/24 tunnel 10.42.1.0\nfar 192.0.2.2 [0a, 6b, 0a, 2a, 01, 00]",
    );
}

#[test]
fn ranges_that_clash_are_refused() {
    check(
        &["192.0.2.1/24", "10.42.1.9/24"],
        &["b 192.0.2.2 10.42.1.0/24"],
        "node b: its pod CIDR 10.42.1.0/24 overlaps this machine's network 10.42.1.0/24",
    );
    check(
        &["192.0.2.1/24"],
        &["b 192.0.2.2 10.42.0.0/24", "c 192.0.2.3 10.42.3.0/24", "d 192.0.2.4 10.42.3.0/24"],
        "10.42.3.0/24 via 192.0.2.3 link 1\n\
         node b: its pod CIDR 10.42.0.0/24 overlaps another node's, 10.42.0.0/24\n\
         node d: its pod CIDR 10.42.3.0/24 overlaps another node's, 10.42.3.0/24",
    );
    check(
        &["192.0.2.1/24"],
        &["b 2001:db8::2 10.42.1.0/24"],
        "node b: it has no address of a family that this node has",
    );
}
