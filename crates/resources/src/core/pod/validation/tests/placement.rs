//! Security, scheduling, names.

use expect_test::expect;

use super::check;

#[test]
fn security() {
    check(
        r#"
        spec.securityContext = {"runAsUser": -1, "runAsGroup": 2147483648, "fsGroup": -5, "supplementalGroups": [1, -1]}

        spec.securityContext.sysctls = [{"name": "kernel.shm_rmid_forced", "value": "0"}, {"name": "Bad", "value": ""}, {"name": "kernel.shm_rmid_forced", "value": "0"}]

        spec.hostNetwork = true
        spec.securityContext.sysctls = [{"name": "net.core.somaxconn", "value": "1"}]

        spec.securityContext.seccompProfile = {"type": "Localhost"}

        spec.securityContext.seccompProfile = {"type": "RuntimeDefault", "localhostProfile": "a"}

        spec.securityContext.seccompProfile = {"type": "Odd"}

        spec.securityContext = {"fsGroupChangePolicy": "Never", "supplementalGroupsPolicy": "Odd"}

        spec.hostPID = true
        spec.shareProcessNamespace = true

        spec.containers[0].securityContext = {"privileged": true, "allowPrivilegeEscalation": false}

        spec.containers[0].securityContext = {"allowPrivilegeEscalation": false, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}

        spec.containers[0].securityContext = {"procMount": "Unmasked"}

        spec.containers[0].securityContext = {"appArmorProfile": {"type": "Localhost"}}

        spec.hostUsers = false
        spec.hostNetwork = true
        spec.hostPID = true

        spec.os = {"name": "windows"}
        spec.hostPID = true
        spec.securityContext.runAsUser = 1

        spec.os = {"name": "linux"}
        spec.containers[0].securityContext.windowsOptions = {}

        spec.os = {"name": "plan9"}
        "#,
        expect![[r#"
            spec.securityContext = {"runAsUser": -1, "runAsGroup": 2147483648, "fsGroup": -5, "supplementalGroups": [1, -1]}
                spec.securityContext.fsGroup: Invalid value: -5: must be between 0 and 2147483647, inclusive
                spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive
                spec.securityContext.runAsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive
                spec.securityContext.supplementalGroups[1]: Invalid value: -1: must be between 0 and 2147483647, inclusive
            spec.securityContext.sysctls = [{"name": "kernel.shm_rmid_forced", "value": "0"}, {"name": "Bad", "value": ""}, {"name": "kernel.shm_rmid_forced", "value": "0"}]
                spec.securityContext.sysctls[1].name: Invalid value: "Bad": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$
                spec.securityContext.sysctls[2].name: Duplicate value: "kernel.shm_rmid_forced"
            spec.hostNetwork = true
            spec.securityContext.sysctls = [{"name": "net.core.somaxconn", "value": "1"}]
                spec.securityContext.sysctls[0].name: Invalid value: "net.core.somaxconn": may not be specified when 'hostNetwork' is true
            spec.securityContext.seccompProfile = {"type": "Localhost"}
                spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost
            spec.securityContext.seccompProfile = {"type": "RuntimeDefault", "localhostProfile": "a"}
                spec.securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"RuntimeDefault","LocalhostProfile":"a"}: can only be set when seccomp type is Localhost
            spec.securityContext.seccompProfile = {"type": "Odd"}
                spec.securityContext.seccompProfile.type: Unsupported value: "Odd": supported values: "Localhost", "RuntimeDefault", "Unconfined"
            spec.securityContext = {"fsGroupChangePolicy": "Never", "supplementalGroupsPolicy": "Odd"}
                spec.securityContext.fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch"
                spec.securityContext.supplementalGroupsPolicy: Unsupported value: "Odd": supported values: "Merge", "Strict"
            spec.hostPID = true
            spec.shareProcessNamespace = true
                spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled
            spec.containers[0].securityContext = {"privileged": true, "allowPrivilegeEscalation": false}
                spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false,"privileged":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true
            spec.containers[0].securityContext = {"allowPrivilegeEscalation": false, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}
                spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN
            spec.containers[0].securityContext = {"procMount": "Unmasked"}
                spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`
            spec.containers[0].securityContext = {"appArmorProfile": {"type": "Localhost"}}
                spec.containers[0].securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost
            spec.hostUsers = false
            spec.hostNetwork = true
            spec.hostPID = true
                spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false
                spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false
            spec.os = {"name": "windows"}
            spec.hostPID = true
            spec.securityContext.runAsUser = 1
                spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod
                spec.hostPID: Forbidden: cannot be set for a windows pod
            spec.os = {"name": "linux"}
            spec.containers[0].securityContext.windowsOptions = {}
                spec.containers[0].securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod
            spec.os = {"name": "plan9"}
                spec.os: Unsupported value: "plan9": supported values: "linux", "windows"
        "#]],
    );
}

#[test]
fn scheduling() {
    check(
        r#"
        spec.nodeSelector = {"a b": "-"}

        spec.tolerations = [{"key": "a", "operator": "Exists", "value": "x"}, {"operator": "Equal"}, {"key": "b", "effect": "Never"}]

        spec.tolerations = [{"key": "a", "operator": "Lt", "value": "1"}, {"key": "a", "tolerationSeconds": 3}]

        spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {"nodeSelectorTerms": []}

        spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["x"]}, {"key": "a", "operator": "Gt", "values": ["1", "2"]}, {"key": "", "operator": "Is"}], "matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["x"]}]}]}

        spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution = [{"weight": 101, "preference": {}}]

        spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution = [{"topologyKey": "", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}]

        spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution = [{"weight": 0, "podAffinityTerm": {"topologyKey": "zone", "matchLabelKeys": ["x"]}}]

        spec.topologySpreadConstraints = [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Maybe", "minDomains": 0}]

        spec.topologySpreadConstraints = [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}, {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["a"]}]

        spec.schedulingGates = [{"name": "a"}, {"name": "a"}, {"name": "b c"}]
        spec.nodeName = "n1"

        spec.readinessGates = [{"conditionType": "a b"}]

        spec.nodeName = "Node"
        spec.priorityClassName = "High!"
        spec.preemptionPolicy = "Sometimes"
        spec.activeDeadlineSeconds = 0
        "#,
        expect![[r#"
            spec.nodeSelector = {"a b": "-"}
                spec.nodeSelector: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.nodeSelector: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            spec.tolerations = [{"key": "a", "operator": "Exists", "value": "x"}, {"operator": "Equal"}, {"key": "b", "effect": "Never"}]
                spec.tolerations[0].operator: Invalid value: "x": value must be empty when `operator` is 'Exists'
                spec.tolerations[1].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"
                spec.tolerations[2].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"
            spec.tolerations = [{"key": "a", "operator": "Lt", "value": "1"}, {"key": "a", "tolerationSeconds": 3}]
                spec.tolerations[0].operator: Unsupported value: "Lt": supported values: "Equal", "Exists"
                spec.tolerations[1].effect: Invalid value: "": effect must be 'NoExecute' when `tolerationSeconds` is set
            spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {"nodeSelectorTerms": []}
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term
            spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["x"]}, {"key": "a", "operator": "Gt", "values": ["1", "2"]}, {"key": "", "operator": "Is"}], "matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["x"]}]}]}
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[2].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[3].operator: Invalid value: "Is": not a valid selector operator
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[3].key: Invalid value: "": name part must be non-empty
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[3].key: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key
            spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution = [{"weight": 101, "preference": {}}]
                spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100
            spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution = [{"topologyKey": "", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}]
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].operator: Invalid value: "Gt": not a valid selector operator
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-empty
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution = [{"weight": 0, "podAffinityTerm": {"topologyKey": "zone", "matchLabelKeys": ["x"]}}]
                spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100
                spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set
            spec.topologySpreadConstraints = [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Maybe", "minDomains": 0}]
                spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero
                spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty
                spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Maybe": supported values: "DoNotSchedule", "ScheduleAnyway"
                spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero
                spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not Maybe
            spec.topologySpreadConstraints = [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}, {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["a"]}]
                spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{z, DoNotSchedule}"
                spec.topologySpreadConstraints[1].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set
            spec.schedulingGates = [{"name": "a"}, {"name": "a"}, {"name": "b c"}]
            spec.nodeName = "n1"
                spec.schedulingGates[1]: Duplicate value: "a"
                spec.schedulingGates[2]: Invalid value: "b c": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared
            spec.readinessGates = [{"conditionType": "a b"}]
                spec.readinessGates[0].conditionType: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.nodeName = "Node"
            spec.priorityClassName = "High!"
            spec.preemptionPolicy = "Sometimes"
            spec.activeDeadlineSeconds = 0
                spec.nodeName: Invalid value: "Node": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.priorityClassName: Invalid value: "High!": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive
                spec.preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"
        "#]],
    );
}

#[test]
fn names() {
    check(
        r#"
        spec.hostname = "a.b"
        spec.subdomain = "C"

        spec.serviceAccountName = "Bad!"

        spec.restartPolicy = "Maybe"
        spec.dnsPolicy = "Never"

        spec.dnsPolicy = "None"

        spec.dnsConfig = {"nameservers": ["1.2.3.4", "x", "1.1.1.1", "8.8.8.8"], "searches": ["a_b.c", "."], "options": [{}]}

        spec.hostAliases = [{"ip": "1.2.3", "hostnames": ["ok", "Not_ok"]}]

        metadata.annotations."controller.kubernetes.io/pod-deletion-cost" = "01"

        metadata.annotations."kubernetes.io/config.mirror" = "x"
        "#,
        expect![[r#"
            spec.hostname = "a.b"
            spec.subdomain = "C"
                spec.hostname: Invalid value: "a.b": must not contain dots
                spec.subdomain: Invalid value: "C": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.serviceAccountName = "Bad!"
                spec.serviceAccountName: Invalid value: "Bad!": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.restartPolicy = "Maybe"
            spec.dnsPolicy = "Never"
                spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"
                spec.dnsPolicy: Unsupported value: "Never": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"
            spec.dnsPolicy = "None"
                spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None
            spec.dnsConfig = {"nameservers": ["1.2.3.4", "x", "1.1.1.1", "8.8.8.8"], "searches": ["a_b.c", "."], "options": [{}]}
                spec.dnsConfig.nameservers: Invalid value: ["1.2.3.4","x","1.1.1.1","8.8.8.8"]: must not have more than 3 nameservers
                spec.dnsConfig.nameservers[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
                spec.dnsConfig.options[0]: Required value: must not be empty
            spec.hostAliases = [{"ip": "1.2.3", "hostnames": ["ok", "Not_ok"]}]
                spec.hostAliases[0].ip: Invalid value: "1.2.3": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
                spec.hostAliases[0].hostnames[1]: Invalid value: "Not_ok": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            metadata.annotations."controller.kubernetes.io/pod-deletion-cost" = "01"
                metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "01": must be a 32bit integer
            metadata.annotations."kubernetes.io/config.mirror" = "x"
                metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set
        "#]],
    );
}
