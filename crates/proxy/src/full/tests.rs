use expect_test::{Expect, expect};

use super::*;

#[test]
fn drops_of_all_processors_are_added() {
    let counters = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n\
                    00000007  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 0000000a 00000003 00000000  00000000 00000000 00000000 00000000\n\
                    00000007  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000100 00000000 00000000  00000000 00000000 00000000 00000000\n";
    assert_eq!(dropped(counters), Some(0x10a));
    assert_eq!(dropped("entries found\n1 2\n"), None);
    assert_eq!(dropped("entries drop\n1 x\n"), None);
    assert_eq!(dropped(""), None);
}

/// Looks: packets dropped so far, connections, the limit.
#[track_caller]
fn check(looks: &[(u64, u64, u64)], expected: Expect) {
    let mut table = Table::default();
    let said = looks.iter().map(|&(dropped, connections, most)| {
        match table.see(Seen { dropped, connections, most }) {
            Some((_, reason, message)) => format!("{reason}: {message}\n"),
            None => "-\n".to_owned(),
        }
    });
    expected.assert_eq(&said.collect::<String>());
}

#[test]
fn the_user_is_told_when_it_begins_and_when_it_is_over() {
    check(
        &[(5, 10, 100), (5, 100, 100), (6, 100, 100), (9, 99, 100), (9, 95, 100), (9, 90, 100), (9, 90, 100)],
        expect![[r#"
            -
            -
            ConntrackFull: the kernel's table of connections is full (net.netfilter.nf_conntrack_max=100): packets of new connections are dropped
            ConntrackFull: the kernel's table of connections is full (net.netfilter.nf_conntrack_max=100): packets of new connections are dropped
            -
            ConntrackHasRoom: the kernel's table of connections has room again
            -
        "#]],
    );
    // Somebody lifted the limit.
    check(
        &[(0, 100, 100), (1, 100, 100), (1, 100, 0)],
        expect![[r#"
            -
            ConntrackFull: the kernel's table of connections is full (net.netfilter.nf_conntrack_max=100): packets of new connections are dropped
            ConntrackHasRoom: the kernel's table of connections has room again
        "#]],
    );
}
