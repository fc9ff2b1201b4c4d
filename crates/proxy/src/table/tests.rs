use super::*;
use crate::rules::{Ip, Key, Kind, Step};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn place(n: u16) -> Place {
    Place { kind: Kind::NodePorts, ip: Ip::V4, key: Key::Port(crate::rules::Protocol::Tcp, n) }
}

/// A part with chains and elements that lead to them: `"80:a 81:b"`.
fn part(text: &str) -> Part {
    let mut part = Part::default();
    for (port, chain) in text.split_whitespace().filter_map(|w| w.split_once(':')) {
        part.chains.insert(chain.into(), Chain { ip: Ip::V4, steps: vec![Step::Masquerade] });
        part.elements.insert(place(port.parse().expect("port")), Value::Goto(chain.into()));
    }
    part
}

/// What a delta says: chains, then elements; `+` new, `~` changed in place, `-` gone.
fn show(delta: &Delta) -> String {
    let port = |p: &Place| match p.key {
        Key::Port(_, n) => n,
        _ => 0,
    };
    let mut words: Vec<String> = Vec::new();
    words.extend(
        delta.chains.keys().map(|c| format!("{}{c}", if delta.known.contains(c) { '~' } else { '+' })),
    );
    words.extend(delta.gone_chains.iter().map(|c| format!("-{c}")));
    words.extend(delta.gone.iter().map(|p| format!("-{}", port(p))));
    words.extend(delta.elements.iter().map(|(p, v)| match v {
        Value::Goto(chain) => format!("+{}:{chain}", port(p)),
        other => format!("{other:?}"),
    }));
    words.join(" ")
}

/// Puts parts one after the other (`name`, creation, part) and shows one delta of all of them.
fn put(table: &mut Table, parts: &[(&str, &str, &str)]) -> String {
    let mut delta = Delta::default();
    for (name, created, text) in parts {
        table.put(&key(name), created, part(text), &mut delta);
    }
    show(&delta)
}

#[test]
fn only_what_differs_is_said() {
    let mut table = Table::default();
    assert_eq!(put(&mut table, &[("x", "1", "80:a 81:b")]), "+a +b +80:a +81:b");
    assert_eq!(put(&mut table, &[("x", "1", "80:a 81:b")]), "");
    assert_eq!(put(&mut table, &[("x", "1", "80:a 81:c")]), "+c -b -81 +81:c");
    assert_eq!(put(&mut table, &[("x", "1", "")]), "-a -c -80 -81");
    assert_eq!(show(&table.whole()), "");
}

#[test]
fn two_changes_of_one_service_make_one() {
    let mut table = Table::default();
    assert_eq!(put(&mut table, &[("x", "1", "80:a"), ("x", "1", "80:b")]), "+b +80:b");
    assert_eq!(put(&mut table, &[("x", "1", ""), ("x", "1", "80:b")]), "~b -80 +80:b");
    assert_eq!(put(&mut table, &[("x", "1", "80:b 81:c"), ("x", "1", "80:b")]), "");
}

#[test]
fn the_older_service_has_a_disputed_place() {
    let mut table = Table::default();
    assert_eq!(put(&mut table, &[("young", "2026-02", "80:y")]), "+y +80:y");
    assert_eq!(put(&mut table, &[("old", "2026-01", "80:o")]), "+o -80 +80:o");
    assert_eq!(put(&mut table, &[("young", "2026-02", "80:z")]), "+z -y");
    assert_eq!(put(&mut table, &[("old", "2026-01", "")]), "-o -80 +80:z");
    // Deleted and made anew under the same name it is the younger one.
    assert_eq!(put(&mut table, &[("old", "2026-03", "80:o")]), "+o");
    assert_eq!(show(&table.whole()), "+o +z +80:z");
}
