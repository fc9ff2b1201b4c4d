use expect_test::{Expect, expect};

use super::*;

fn check(rule: fn(&str) -> Vec<String>, inputs: &[&str], expected: Expect) {
    let mut out = String::new();
    for input in inputs {
        out.push_str(&format!("{input:?}: {}\n", rule(input).join(" | ")));
    }
    expected.assert_eq(&out);
}

#[test]
fn labels_and_subdomains() {
    check(
        dns1123_label,
        &["a", "0-a", "a.b", "A", "-a", "a-", ""],
        expect![[r#"
        "a": 
        "0-a": 
        "a.b": must not contain dots
        "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
        "-a": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
        "a-": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
        "": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
    "#]],
    );
    check(
        dns1123_subdomain,
        &["a.b-c.0", "a..b", "a_b", "", ".a"],
        expect![[r#"
        "a.b-c.0": 
        "a..b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        "a_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        "": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        ".a": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
    "#]],
    );
    check(
        dns1035_label,
        &["web-1", "1web"],
        expect![[r#"
        "web-1": 
        "1web": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
    "#]],
    );
    check(
        dns1123_label,
        &[&"a".repeat(64)],
        expect![[r#"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": must be no more than 63 bytes
    "#]],
    );
}

#[test]
fn keys_and_values() {
    check(
        qualified_name,
        &["a/b", "A.b_c-D", "", "a/", "/a", "a/b/c", "UP/a", "-a"],
        expect![[r#"
        "a/b": 
        "A.b_c-D": 
        "": name part must be non-empty | name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "a/": name part must be non-empty | name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "/a": prefix part must be non-empty
        "a/b/c": a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')
        "UP/a": prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        "-a": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
    "#]],
    );
    check(
        label_value,
        &["", "a_B.c-1", "-", "ä"],
        expect![[r#"
        "": 
        "a_B.c-1": 
        "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
        "ä": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
    "#]],
    );
    check(
        config_key,
        &["a.b", "..", "..a", ".", "", "a b"],
        expect![[r#"
        "a.b": 
        "..": must not be '..'
        "..a": must not start with '..'
        ".": must not be '.'
        "": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')
        "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')
    "#]],
    );
}

#[test]
fn ports_paths_and_numbers() {
    check(
        port_name,
        &["http", "", "8080", "a--b", "-a", "sixteen-letters-"],
        expect![[r#"
        "http": 
        "": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-) | must contain at least one letter (a-z)
        "8080": must contain at least one letter (a-z)
        "a--b": must not contain consecutive hyphens
        "-a": must not begin or end with a hyphen
        "sixteen-letters-": must be no more than 15 bytes | must not begin or end with a hyphen
    "#]],
    );
    check(
        percent,
        &["10%", "%", "1.5%"],
        expect![[r#"
        "10%": 
        "%": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
        "1.5%": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
    "#]],
    );
    check(
        env_var_name,
        &["A", "a b", "A=B", "", "ä"],
        expect![[r#"
        "A": 
        "a b": 
        "A=B": a valid environment variable name must consist only of printable ASCII characters other than '='
        "": environment variable name must be non-empty
        "ä": a valid environment variable name must consist only of printable ASCII characters other than '='
    "#]],
    );
    check(
        cidr,
        &["10.0.0.0/8", "10.0.0.0/33", "::/0", "10.0.0.0", "10.0.0.0/+8"],
        expect![[r#"
        "10.0.0.0/8": 
        "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
        "::/0": 
        "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
        "10.0.0.0/+8": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
    "#]],
    );
    check(
        path_segment,
        &["system:node", ".", "a/b%"],
        expect![[r#"
        "system:node": 
        ".": may not be '.'
        "a/b%": may not contain '/' | may not contain '%'
    "#]],
    );
}

#[test]
fn annotations_have_a_total_size() {
    let big: BTreeMap<String, String> = [("A/b".to_string(), "x".repeat(ANNOTATIONS_MAX))].into();
    let errs = annotations(&big, &Path::new("metadata.annotations"));
    assert_eq!(errs.aggregate(), "metadata.annotations: Too long: may not be more than 262144 bytes");
}
