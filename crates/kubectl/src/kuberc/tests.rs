use expect_test::{Expect, expect};

use super::parse;

const FILE: &str = "
apiVersion: kubectl.config.k8s.io/v1beta1
kind: Preference
defaults:
- command: get
  options: [{name: output, default: wide}]
- command: delete
  options: [{name: interactive, default: 'true'}]
aliases:
- name: getn
  command: get
  prependArgs: [nodes]
  options: [{name: output, default: json}]
- name: runx
  command: run
  options: [{name: image, default: nginx}]
  appendArgs: ['--', sh]
- name: create
  command: get
credentialPluginPolicy: Allowlist
credentialPluginAllowlist: [{command: helper}, {command: /bin/other}]
";

/// A command line a line; as what it is understood.
fn check(lines: &str, expected: Expect) {
    let preferences = parse(FILE.as_bytes()).unwrap().unwrap();
    let mut out = String::new();
    for line in lines.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let call = crate::command::parse_with(&args, &preferences).unwrap();
        out.push_str(&format!(
            "{line}: {:?} {:?} output={} image={} interactive={}\n",
            call.path(),
            call.args,
            call.text("output"),
            call.text("image"),
            call.text("interactive"),
        ));
    }
    expected.assert_eq(&out);
}

#[test]
fn aliases_and_defaults() {
    check(
        "
        get pods
        get pods -o name
        getn -A
        getn a -o yaml
        -n x getn
        runx web
        create -f x
        delete pod x
        ",
        expect![[r#"
            get pods: "get" ["pods"] output=wide image= interactive=
            get pods -o name: "get" ["pods"] output=name image= interactive=
            getn -A: "get" ["nodes"] output=json image= interactive=
            getn a -o yaml: "get" ["nodes", "a"] output=yaml image= interactive=
            -n x getn: "get" ["nodes"] output=json image= interactive=
            runx web: "run" ["web", "sh"] output= image=nginx interactive=
            create -f x: "create" [] output= image= interactive=
            delete pod x: "delete" ["pod", "x"] output= image= interactive=true
        "#]],
    );
}

#[test]
fn plugins() {
    let preferences = parse(FILE.as_bytes()).unwrap().unwrap();
    for (command, allowed) in
        [("helper", true), ("/elsewhere/helper", false), ("/bin/other", true), ("x", false)]
    {
        assert_eq!(preferences.plugins().allow(command), allowed, "{command}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let wrong = |text: &str| parse(text.as_bytes()).unwrap_err();
    assert_eq!(parse(b"apiVersion: v1\nkind: Preference").unwrap(), None);
    let head = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n";
    assert_eq!(
        wrong(&format!("{head}aliases: [{{name: a, command: get}}, {{name: a, command: run}}]")),
        "duplicate alias name a"
    );
    assert_eq!(wrong(&format!("{head}credentialPluginPolicy: Maybe")), "unknown plugin policy: \"Maybe\"");
}
