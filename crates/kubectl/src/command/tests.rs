use expect_test::{Expect, expect};

use super::parse;

/// A command line a line; what is understood.
fn check(lines: &str, expected: Expect) {
    let mut out = String::new();
    for line in lines.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let said = match parse(&args) {
            Ok(call) => {
                let mut flags: Vec<String> =
                    call.values.iter().map(|(name, v)| format!("{name}={}", v.join("|"))).collect();
                flags.sort();
                format!("{:?} {:?} {flags:?}", call.path(), call.args)
            }
            Err(e) => e.report().0.lines().next().unwrap_or_default().to_owned(),
        };
        out.push_str(&format!("{line}\n    {said}\n"));
    }
    expected.assert_eq(&out);
}

#[test]
fn flags() {
    check(
        "
        get pods -nkube-system -o wide
        -n x get --watch pods a
        get pods -A=false --chunk-size 5
        create deploy x --image a,b --image=c -- sh -c ls
        get --nope
        get pods -o
        get pods -zq
        get --watch=x
        exec -it pod -- ls -l
        delete pod x --dry-run
        ",
        expect![[r#"
            get pods -nkube-system -o wide
                "get" ["pods"] ["namespace=kube-system", "output=wide"]
            -n x get --watch pods a
                "get" ["pods", "a"] ["namespace=x", "watch=true"]
            get pods -A=false --chunk-size 5
                "get" ["pods"] ["all-namespaces=false", "chunk-size=5"]
            create deploy x --image a,b --image=c -- sh -c ls
                "create deployment" ["x", "sh", "-c", "ls"] ["image=a,b|c"]
            get --nope
                error: unknown flag: --nope
            get pods -o
                error: flag needs an argument: 'o' in -o
            get pods -zq
                error: unknown shorthand flag: 'z' in -zq
            get --watch=x
                error: invalid argument "x" for "-w, --watch" flag: strconv.ParseBool: parsing "x": invalid syntax
            exec -it pod -- ls -l
                "exec" ["pod", "ls", "-l"] ["stdin=true", "tty=true"]
            delete pod x --dry-run
                "delete" ["pod", "x"] ["dry-run=unchanged"]
        "#]],
    );
}

#[test]
fn every_command_and_flag_is_told_about() {
    let mut untold = Vec::new();
    for command in super::commands() {
        let name = if command.path.is_empty() { "kubectl" } else { command.path };
        if super::about(name, "").is_empty() {
            untold.push(name.to_owned());
        }
        let flags = command.flags.iter().map(|f| format!("--{}", f.name));
        untold.extend(flags.filter(|f| super::about(command.path, f).is_empty()));
    }
    assert_eq!(untold, Vec::<String>::new());
}

/// Whoever copies an example gets no error from us.
#[test]
fn examples_are_understood() {
    for line in include_str!("help.txt").lines().filter_map(|l| l.strip_prefix("@ ")) {
        let (path, words) = (line.split(" | ").next().unwrap(), line.splitn(3, " | ").nth(2).unwrap());
        let words: Vec<String> =
            words.split('>').next().unwrap().split_whitespace().map(str::to_owned).collect();
        let call = parse(&words).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert!(call.path().starts_with(path), "{line}: {}", call.path());
    }
}
