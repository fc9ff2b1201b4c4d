use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const SERVICE: &str = r#"{
    "metadata": {"name": "s", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "selector": {"app": "a"}, "ports": [{"port": 80}]}
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "sessionAffinity": "ClientIP", "ports": [{"port": 80, "targetPort": 0}, {"port": 1, "targetPort": "web"}]}}"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "Service",
              "metadata": {
                "name": "s"
              },
              "spec": {
                "allocateLoadBalancerNodePorts": true,
                "externalTrafficPolicy": "Cluster",
                "internalTrafficPolicy": "Cluster",
                "ports": [
                  {
                    "port": 80,
                    "protocol": "TCP",
                    "targetPort": 80
                  },
                  {
                    "port": 1,
                    "protocol": "TCP",
                    "targetPort": "web"
                  }
                ],
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {
                  "clientIP": {
                    "timeoutSeconds": 10800
                  }
                },
                "type": "LoadBalancer"
              },
              "status": {
                "loadBalancer": {}
              }
            }
        "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        SERVICE,
        r#"
        spec.type = "NodePort"

        spec.ports = []

        spec.ports = [{"port": 80}, {"port": 80, "name": "b"}]

        spec.ports = [{"port": 0, "protocol": "X", "targetPort": "UPPER", "appProtocol": "a b"}]

        spec.ports[0].nodePort = 30000

        spec.type = "NodePort"
        spec.ports = [{"port": 80, "name": "a", "nodePort": 30000}, {"port": 81, "name": "a", "nodePort": 30000}]

        spec.type = "Odd"

        spec.type = "ExternalName"

        spec.type = "NodePort"
        spec.clusterIP = "None"
        spec.clusterIPs = ["None"]

        spec.sessionAffinity = "ClientIP"
        spec.sessionAffinityConfig = {"clientIP": {"timeoutSeconds": 86401}}

        spec.sessionAffinity = "Sticky"

        spec.clusterIPs = ["10.96.0.8"]

        spec.clusterIP = "x"
        spec.clusterIPs = ["x"]

        spec.clusterIPs = ["10.96.0.9", "10.96.0.10"]
        spec.ipFamilies = ["IPv6", "IPv6", "IPv5"]
        spec.ipFamilyPolicy = "Odd"

        spec.externalIPs = ["127.0.0.1", "y"]

        spec.externalTrafficPolicy = "Local"
        spec.internalTrafficPolicy = "Odd"
        spec.healthCheckNodePort = 3
        spec.trafficDistribution = "Odd"

        spec.loadBalancerClass = "a/b"
        spec.loadBalancerSourceRanges = ["1.2.3.4/33"]
        spec.allocateLoadBalancerNodePorts = false

        spec.selector = {"a b": ""}
        "#,
        expect![[r#"
            spec.type = "NodePort"
                fine
            spec.ports = []
                spec.ports: Required value
            spec.ports = [{"port": 80}, {"port": 80, "name": "b"}]
                spec.ports[0].name: Required value
                spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}
            spec.ports = [{"port": 0, "protocol": "X", "targetPort": "UPPER", "appProtocol": "a b"}]
                spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
                spec.ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"
                spec.ports[0].targetPort: Invalid value: "UPPER": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
                spec.ports[0].targetPort: Invalid value: "UPPER": must contain at least one letter (a-z)
                spec.ports[0].appProtocol: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.ports[0].nodePort = 30000
                spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'
            spec.type = "NodePort"
            spec.ports = [{"port": 80, "name": "a", "nodePort": 30000}, {"port": 81, "name": "a", "nodePort": 30000}]
                spec.ports[1].name: Duplicate value: "a"
                spec.ports[1].nodePort: Duplicate value: 30000
            spec.type = "Odd"
                spec.type: Unsupported value: "Odd": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"
                spec.internalTrafficPolicy: Required value
            spec.type = "ExternalName"
                spec.clusterIPs: Forbidden: may not be set for ExternalName services
                spec.externalName: Required value
            spec.type = "NodePort"
            spec.clusterIP = "None"
            spec.clusterIPs = ["None"]
                spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services
            spec.sessionAffinity = "ClientIP"
            spec.sessionAffinityConfig = {"clientIP": {"timeoutSeconds": 86401}}
                spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400
            spec.sessionAffinity = "Sticky"
                spec.sessionAffinity: Unsupported value: "Sticky": supported values: "ClientIP", "None"
            spec.clusterIPs = ["10.96.0.8"]
                spec.clusterIPs: Invalid value: ["10.96.0.8"]: first value must match `clusterIP`
            spec.clusterIP = "x"
            spec.clusterIPs = ["x"]
                spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
            spec.clusterIPs = ["10.96.0.9", "10.96.0.10"]
            spec.ipFamilies = ["IPv6", "IPv6", "IPv5"]
            spec.ipFamilyPolicy = "Odd"
                spec.ipFamilies[1]: Duplicate value: "IPv6"
                spec.ipFamilies[2]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"
                spec.ipFamilyPolicy: Unsupported value: "Odd": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"
                spec.clusterIPs: Invalid value: ["10.96.0.9","10.96.0.10"]: may specify no more than one IP for each IP family
                spec.clusterIPs[0]: Invalid value: "10.96.0.9": expected an IPv6 value as indicated by `ipFamilies[0]`
                spec.clusterIPs[1]: Invalid value: "10.96.0.10": expected an IPv6 value as indicated by `ipFamilies[1]`
            spec.externalIPs = ["127.0.0.1", "y"]
                spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)
                spec.externalIPs[1]: Invalid value: "y": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
            spec.externalTrafficPolicy = "Local"
            spec.internalTrafficPolicy = "Odd"
            spec.healthCheckNodePort = 3
            spec.trafficDistribution = "Odd"
                spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services
                spec.healthCheckNodePort: Invalid value: 3: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'
                spec.internalTrafficPolicy: Unsupported value: "Odd": supported values: "Cluster", "Local"
                spec.trafficDistribution: Unsupported value: "Odd": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"
            spec.loadBalancerClass = "a/b"
            spec.loadBalancerSourceRanges = ["1.2.3.4/33"]
            spec.allocateLoadBalancerNodePorts = false
                spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'
                spec.LoadBalancerSourceRanges[0]: Invalid value: "1.2.3.4/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
                spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'
                spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'
            spec.selector = {"a b": ""}
                spec.selector: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        SERVICE,
        r#"
        - spec.clusterIP
        - spec.clusterIPs

        spec.clusterIP = "10.96.0.10"

        spec.type = "NodePort"

        spec.type = "ExternalName"
        spec.externalName = "example.com"
        "#,
        Part::Main,
        expect![[r#"
            - spec.clusterIP
            - spec.clusterIPs
                fine
            spec.clusterIP = "10.96.0.10"
                spec.clusterIPs[0]: Invalid value: ["10.96.0.10"]: may not change once set
            spec.type = "NodePort"
                fine
            spec.type = "ExternalName"
            spec.externalName = "example.com"
                fine
        "#]],
    );
    check_update(
        &Strategy,
        SERVICE,
        r#"
        status.loadBalancer.ingress = [{"ip": "1.2.3.4"}]
        "#,
        Part::Status,
        expect![[r#"
            status.loadBalancer.ingress = [{"ip": "1.2.3.4"}]
                status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'
        "#]],
    );
}

#[test]
fn what_was_given_out_is_kept() {
    use crate::Strategy as _;
    let edits =
        "spec.type = \"NodePort\"\nspec.ports[0] = {\"name\": \"a\", \"port\": 80, \"nodePort\": 30001}";
    let old = object(&Strategy, SERVICE, edits);
    let edits = "- spec.clusterIP\n- spec.clusterIPs\nspec.type = \"NodePort\"\nspec.ports[0] = {\"name\": \"b\", \"port\": 81}\nspec.ports[1] = {\"name\": \"a\", \"port\": 8080}";
    let mut new = object(&Strategy, SERVICE, edits);
    Strategy.prepare_update(&mut new, &old, Part::Main);
    let spec = new.spec.unwrap();
    assert_eq!(spec.cluster_ip.as_deref(), Some("10.96.0.9"));
    let ports: Vec<_> = spec.ports.unwrap().iter().map(|p| p.node_port).collect();
    assert_eq!(ports, [None, Some(30001)]);
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        SERVICE,
        r#"
        spec.type = "ClusterIP"
        spec.ports[0].protocol = "TCP"

        spec.type = "NodePort"
        spec.ports = [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
        spec.externalIPs = ["1.1.1.1", "2.2.2.2"]

        spec.type = "LoadBalancer"
        - spec.selector

        spec.type = "LoadBalancer"
        status.loadBalancer.ingress = [{"hostname": "lb.example.com"}, {"ip": "9.9.9.9"}]

        spec.type = "ExternalName"
        spec.externalName = "example.com"
        - spec.clusterIP
        - spec.clusterIPs
        - spec.ports
        "#,
        expect![[r#"
            NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT(S)  AGE  SELECTOR
            s  ClusterIP  10.96.0.9  <none>  80/TCP  10m  app=a
            s  NodePort  10.96.0.9  1.1.1.1,2.2.2.2  80:30080/TCP,53/UDP  10m  app=a
            s  LoadBalancer  10.96.0.9  <pending>  80/TCP  10m  <none>
            s  LoadBalancer  10.96.0.9  9.9.9.9,lb.example.com  80/TCP  10m  app=a
            s  ExternalName  <none>  example.com  <none>  10m  app=a
        "#]],
    );
}

#[test]
fn fields_without_a_meaning() {
    let of =
        |edits: &str| crate::Strategy::warnings(&Strategy, &object(&Strategy, SERVICE, edits)).join("\n");
    assert_eq!(of(""), "");
    expect!["spec.SessionAffinity is ignored for headless services"]
        .assert_eq(&of("spec.clusterIP = \"None\"\nspec.sessionAffinity = \"ClientIP\""));
    expect![[r#"spec.externalIPs is ignored when spec.type is "ExternalName""#]]
        .assert_eq(&of("spec.type = \"ExternalName\"\nspec.externalIPs = [\"1.1.1.1\"]"));
    expect![[r#"spec.externalName is ignored when spec.type is not "ExternalName""#]]
        .assert_eq(&of("spec.externalName = \"a.b\""));
}
