//! Roles within `kube-system` and `kube-public`.

use super::{Policy, account, events, named, rule, user};

const SYSTEM: &str = "kube-system";
const PUBLIC: &str = "kube-public";

pub(super) fn add(p: &mut Policy) {
    let managers = || vec![user("system:kube-controller-manager"), user("system:kube-scheduler")];
    let reader = "extension-apiserver-authentication-reader";
    p.role(
        SYSTEM,
        reader,
        vec![named("get list watch", "core", "configmaps", "extension-apiserver-authentication")],
    );
    p.bind(SYSTEM, &format!("system::{reader}"), reader, managers());

    let in_system = [
        ("bootstrap-signer", vec![rule("get list watch", "core", "secrets")]),
        ("cloud-provider", vec![rule("create get list watch", "core", "configmaps")]),
        ("token-cleaner", vec![rule("delete get list watch", "core", "secrets"), events()]),
    ];
    for (name, rules) in in_system {
        let role = format!("system:controller:{name}");
        p.role(SYSTEM, &role, rules);
        p.bind(SYSTEM, &role, &role, vec![account(SYSTEM, name)]);
    }

    for component in ["kube-controller-manager", "kube-scheduler"] {
        let role = format!("system::leader-locking-{component}");
        let rules = vec![
            rule("create get list update watch", "coordination.k8s.io", "leases"),
            rule("create get list update watch", "coordination.k8s.io", "leasecandidates"),
        ];
        p.role(SYSTEM, &role, rules);
        let subjects = vec![user(&format!("system:{component}")), account(SYSTEM, component)];
        p.bind(SYSTEM, &role, &role, subjects);
    }

    let signer = "system:controller:bootstrap-signer";
    let rules = vec![
        rule("get list watch", "core", "configmaps"),
        named("update", "core", "configmaps", "cluster-info"),
        events(),
    ];
    p.role(PUBLIC, signer, rules);
    p.bind(PUBLIC, signer, signer, vec![account(SYSTEM, "bootstrap-signer")]);
}
