use super::*;

const OWN: &[Gone] = &[gone("docker-endpoint", "built in"), gone_switch("allow-privileged", "admission")];

fn check(words: &str, expected: &str) {
    let words = words.split(' ').map(str::to_owned).collect();
    let said = match normalise(words, &[OWN, LOGGING]) {
        Ok((words, warnings)) => {
            let warned = warnings.iter().map(|w| format!(" | {w}")).collect::<String>();
            format!("{}{warned}", words.join(" "))
        }
        Err(error) => format!("error: {error:#}"),
    };
    assert_eq!(said, expected);
}

#[test]
fn flags_of_every_age_are_understood() {
    check("p --leader-elect=false --v 2", "p --leader-elect=false --v 2");
    check(
        "p --etcd_servers=http://h_1:2379 -kubeconfig=f",
        "p --etcd-servers=http://h_1:2379 --kubeconfig=f",
    );
    check("p -h -v=2 - --", "p -h --v=2 - --");
    check(
        "p --docker_endpoint unix://x --master=m",
        "p --master=m | Flag --docker-endpoint has no effect: built in",
    );
    check("p --allow_privileged m", "p m | Flag --allow-privileged has no effect: admission");
    check("p --logtostderr=false", "p | Flag --logtostderr has no effect: logs always go to standard error");
    check(
        "p --allow-privileged=",
        "error: invalid argument \"\" for \"--allow-privileged\" flag: it is true or false",
    );
    check("p --docker-endpoint", "error: flag needs an argument: --docker-endpoint");
}

#[test]
fn components_are_found_by_link_and_by_word() {
    let missing = |words: &[&str]| named(words.iter().map(OsString::from).collect()).is_none();
    assert!(missing(&["/usr/bin/knarr", "server"]));
    assert!(missing(&["/usr/bin/knarr"]));
    assert!(missing(&[]));
}
