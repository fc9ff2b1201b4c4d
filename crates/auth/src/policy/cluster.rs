//! For everyone, and for who may do everything.

use super::{Policy, group, rule, urls};

pub(super) fn add(p: &mut Policy) {
    p.cluster_role("cluster-admin", vec![rule("*", "*", "*"), urls("*", "*")]);
    p.bind_cluster("cluster-admin", vec![group("system:masters")]);

    p.cluster_role(
        "system:discovery",
        vec![urls(
            "get",
            "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
        )],
    );
    p.bind_cluster("system:discovery", vec![group("system:authenticated")]);

    p.cluster_role(
        "system:monitoring",
        vec![urls("get", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*")],
    );
    p.bind_cluster("system:monitoring", vec![group("system:monitoring")]);

    p.cluster_role(
        "system:basic-user",
        vec![
            rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
            rule("create", "authentication.k8s.io", "selfsubjectreviews"),
        ],
    );
    p.bind_cluster("system:basic-user", vec![group("system:authenticated")]);

    p.cluster_role(
        "system:public-info-viewer",
        vec![urls("get", "/healthz /livez /readyz /version /version/")],
    );
    p.bind_cluster(
        "system:public-info-viewer",
        vec![group("system:authenticated"), group("system:unauthenticated")],
    );

    p.cluster_role(
        "system:service-account-issuer-discovery",
        vec![urls("get", "/.well-known/openid-configuration /openid/v1/jwks")],
    );
    p.bind_cluster("system:service-account-issuer-discovery", vec![group("system:serviceaccounts")]);
}
