use expect_test::{Expect, expect};

/// A command line a line (`_` is a word not begun yet); what is offered, without a server.
fn check(lines: &str, expected: Expect) {
    let mut out = String::new();
    for line in lines.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let words: Vec<String> =
            line.split_whitespace().map(|w| if w == "_" { String::new() } else { w.to_owned() }).collect();
        let said = super::offered(&words, false, &crate::kuberc::Preferences::default());
        out.push_str(&format!("{line}: {}\n", said.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    expected.assert_eq(&out);
}

#[test]
fn offers() {
    check(
        "
        ro
        rollout _
        rollout und
        get --out
        get --output=j
        get -o y
        apply -f _
        get --nope=x
        exec x -- l
        completion _
        auth can-i d
        help create sec
        create secret _
        wait --for _
        ",
        expect![[r#"
            ro: rollout :4
            rollout _: history pause restart resume status undo :4
            rollout und: undo :4
            get --out: --output --output-watch-events :4
            get --output=j: --output=json --output=jsonpath --output=jsonpath-as-json --output=jsonpath-file :4
            get -o y: yaml :4
            apply -f _: :0
            get --nope=x: :4
            exec x -- l: :0
            completion _: bash fish zsh :4
            auth can-i d: delete deletecollection :4
            help create sec: secret :4
            create secret _: docker-registry generic tls :4
            wait --for _: create delete condition= jsonpath= :4
        "#]],
    );
}
