//! What a node may not do with itself, its devices and its certificates.

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
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
