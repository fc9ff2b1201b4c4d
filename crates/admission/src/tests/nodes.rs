//! What a node may not do with itself, its devices and its certificates.

use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, PodCertificateRequest};
use k8s_openapi::api::resource::v1::ResourceSlice;

use super::*;

#[tokio::test]
async fn a_node_names_no_owners() {
    let f = fixture();
    let node = |owners: Value| json!({"metadata": {"name": "n1", "ownerReferences": owners}});
    let owner = || json!([{"apiVersion": "v1", "kind": "Node", "name": "gone", "uid": "x"}]);
    f.check(
        update::<Node>(node(json!([])), node(owner())).node(),
        "403 nodes \"n1\" is forbidden: node \"n1\" is not allowed to modify ownerReferences",
    )
    .await;
    f.check(update::<Node>(node(owner()), node(owner())).node(), "").await;
    let configured = json!({"metadata": {"name": "n1"}, "spec": {"configSource": {"configMap": {"name": "c", "namespace": "d", "kubeletConfigKey": "k"}}}});
    f.check(
        update::<Node>(node(json!([])), configured).node(),
        "403 nodes \"n1\" is forbidden: node \"n1\" is not allowed to update configSource to a new non-nil configSource",
    )
    .await;
}

#[tokio::test]
async fn a_node_tells_of_its_own_devices() {
    let f = fixture();
    let slice = |node: &str| {
        json!({"metadata": {"name": "s"}, "spec": {"driver": "d", "nodeName": node,
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}}})
    };
    let no = |verb: &str| {
        format!(
            "403 resourceslices.resource.k8s.io \"s\" is forbidden: can only {verb} ResourceSlice with the same NodeName as the \
             requesting node"
        )
    };
    f.check(create::<ResourceSlice>(slice("n1")).node(), "").await;
    f.check(create::<ResourceSlice>(slice("n2")).node(), &no("create")).await;
    f.check(delete::<ResourceSlice>(slice("n2")).node(), &no("delete")).await;
}

#[tokio::test]
async fn a_node_asks_for_its_own_certificate() {
    let f = fixture();
    let request = |common_name: &str, signer: &str| {
        let template = pki::Template::client(common_name, "system:nodes");
        let (pem, _) = pki::request::make(&template).unwrap();
        let mut request: CertificateSigningRequest = object(json!({"metadata": {"name": "c"},
            "spec": {"signerName": signer, "usages": ["client auth"], "request": ""}}));
        request.spec.request.0 = pem.into_bytes();
        request
    };
    let kubelet = "kubernetes.io/kube-apiserver-client-kubelet";
    let ask = |name: &str, signer: &str| Write {
        new: Some(request(name, signer)),
        ..create::<CertificateSigningRequest>(json!({"spec": {"signerName": "", "request": ""}})).node()
    };
    f.check(ask("system:node:n1", kubelet), "").await;
    f.check(
        ask("system:node:n2", kubelet),
        "403 certificatesigningrequests.certificates.k8s.io \"c\" is forbidden: can only create a node CSR with CN=system:node:n1",
    )
    .await;
    f.check(ask("anybody", "example.com/own"), "").await;
}

#[tokio::test]
async fn a_node_asks_for_certificates_of_pods_that_run_on_it() {
    let f = fixture();
    let (mut node, mut account) = (Node::default(), ServiceAccount::default());
    node.metadata.name = Some("n1".into());
    account.metadata.name = Some("sa".into());
    account.metadata.namespace = Some("default".into());
    let (node, account) = (f.api.insert(&node), f.api.insert(&account));
    let pod = |name: &str, on: &str, mirror: bool| {
        let mut pod: Pod = object(json!({"metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": on, "serviceAccountName": "sa", "containers": []}}));
        if mirror {
            pod.metadata.annotations =
                Some([("kubernetes.io/config.mirror".to_owned(), "x".to_owned())].into());
        }
        f.api.insert(&pod)
    };
    let (here, elsewhere, mirror) =
        (pod("here", "n1", false), pod("elsewhere", "n2", false), pod("mirror", "n1", true));
    let request = |pod: &Pod, edit: &dyn Fn(&mut Value)| {
        let mut request = json!({"metadata": {"name": "r", "namespace": "default"}, "spec": {
            "signerName": "example.com/s", "podName": pod.name(), "podUID": pod.uid(), "serviceAccountName": "sa",
            "serviceAccountUID": account.uid(), "nodeName": "n1", "nodeUID": node.uid(), "stubPKCS10Request": ""}});
        edit(&mut request["spec"]);
        create::<PodCertificateRequest>(request).node()
    };
    let no = |why: &str| format!("403 podcertificaterequests.certificates.k8s.io \"r\" is forbidden: {why}");
    let of = |pod: &str| format!("PodCertificateRequest for pod \"default/{pod}\"");
    let later = |why: String| format!("500 Internal error occurred: {why}");
    f.check(request(&here, &|_| {}), "").await;
    let other_node = "PodCertificateRequest.Spec.NodeName=\"n2\", which is not the requesting node \"n1\"";
    f.check(request(&here, &|s| s["nodeName"] = "n2".into()), &no(other_node)).await;
    let why =
        format!("{} names node UID \"x\", inconsistent with the running node ({:?})", of("here"), node.uid());
    f.check(request(&here, &|s| s["nodeUID"] = "x".into()), &later(why)).await;
    let why =
        format!("{} contains pod UID \"x\" which differs from running pod ({:?})", of("here"), here.uid());
    f.check(request(&here, &|s| s["podUID"] = "x".into()), &later(why)).await;
    let why =
        format!("{} contains nodeName (\"n1\") that differs from running pod (\"n2\")", of("elsewhere"));
    f.check(request(&elsewhere, &|_| {}), &no(&why)).await;
    f.check(request(&mirror, &|_| {}), &no("pod \"default/mirror\" is a mirror pod")).await;
    let why = format!(
        "{} contains serviceAccountName (\"root\") that differs from running pod (\"sa\")",
        of("here")
    );
    f.check(request(&here, &|s| s["serviceAccountName"] = "root".into()), &no(&why)).await;
    let why = format!(
        "{} names service account UID \"x\", inconsistent with the running service account ({:?})",
        of("here"),
        account.uid()
    );
    f.check(request(&here, &|s| s["serviceAccountUID"] = "x".into()), &later(why)).await;
    f.check(request(&here, &|s| s["podName"] = "none".into()), "404 pods \"none\" not found").await;
}
