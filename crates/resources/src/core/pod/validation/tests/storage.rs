//! Volumes and mounts.

use expect_test::expect;

use super::check;

#[test]
fn volumes() {
    check(
        r#"
        spec.volumes[1] = {"name": "data"}

        spec.volumes[1] = {"name": "Bad"}

        spec.volumes[1] = {"name": "two", "emptyDir": {}, "hostPath": {"path": "/"}}

        spec.volumes[1] = {"name": "host", "hostPath": {"path": "/a/../b", "type": "Pipe"}}

        spec.volumes[1] = {"name": "host", "hostPath": {"path": ""}}

        spec.volumes[1] = {"name": "s", "secret": {"defaultMode": 512}}

        spec.volumes[1] = {"name": "c", "configMap": {"name": "x", "items": [{"key": "", "path": "/abs"}, {"key": "k", "path": "a/../b", "mode": 1000}]}}

        spec.volumes[1] = {"name": "d", "downwardAPI": {"items": [{"path": "..x"}]}}

        spec.volumes[1] = {"name": "d", "downwardAPI": {"items": [{"path": "cpu", "resourceFieldRef": {"resource": "limits.cpu"}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "", "expirationSeconds": 5}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"secret": {"name": "a", "items": [{"key": "k", "path": "same"}]}}, {"configMap": {"name": "b", "items": [{"key": "k", "path": "same"}]}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": ""}}]}}

        spec.volumes[1] = {"name": "claim", "persistentVolumeClaim": {"claimName": ""}}

        spec.volumes[1] = {"name": "claim", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}

        spec.volumes[1] = {"name": "nfs", "nfs": {"path": "", "server": ""}}

        - spec.serviceAccountName
        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
        "#,
        expect![[r#"
            spec.volumes[1] = {"name": "data"}
                spec.volumes[1].name: Duplicate value: "data"
            spec.volumes[1] = {"name": "Bad"}
                spec.volumes[1].name: Invalid value: "Bad": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.volumes[1] = {"name": "two", "emptyDir": {}, "hostPath": {"path": "/"}}
                spec.volumes[1].hostPath: Forbidden: may not specify more than 1 volume type
            spec.volumes[1] = {"name": "host", "hostPath": {"path": "/a/../b", "type": "Pipe"}}
                spec.volumes[1].hostPath.path: Invalid value: "/a/../b": must not contain '..'
                spec.volumes[1].hostPath.type: Unsupported value: "Pipe": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"
            spec.volumes[1] = {"name": "host", "hostPath": {"path": ""}}
                spec.volumes[1].hostPath.path: Required value
            spec.volumes[1] = {"name": "s", "secret": {"defaultMode": 512}}
                spec.volumes[1].secret.secretName: Required value
                spec.volumes[1].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive
            spec.volumes[1] = {"name": "c", "configMap": {"name": "x", "items": [{"key": "", "path": "/abs"}, {"key": "k", "path": "a/../b", "mode": 1000}]}}
                spec.volumes[1].configMap.items[0].key: Required value
                spec.volumes[1].configMap.items[0].path: Invalid value: "/abs": must be a relative path
                spec.volumes[1].configMap.items[1].path: Invalid value: "a/../b": must not contain '..'
                spec.volumes[1].configMap.items[1].mode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive
            spec.volumes[1] = {"name": "d", "downwardAPI": {"items": [{"path": "..x"}]}}
                spec.volumes[1].downwardAPI.path: Invalid value: "..x": must not start with '..'
                spec.volumes[1].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required
            spec.volumes[1] = {"name": "d", "downwardAPI": {"items": [{"path": "cpu", "resourceFieldRef": {"resource": "limits.cpu"}}]}}
                spec.volumes[1].downwardAPI.resourceFieldRef.containerName: Required value
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "", "expirationSeconds": 5}}]}}
                spec.volumes[1].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes
                spec.volumes[1].projected.path: Required value
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"secret": {"name": "a", "items": [{"key": "k", "path": "same"}]}}, {"configMap": {"name": "b", "items": [{"key": "k", "path": "same"}]}}]}}
                spec.volumes[1].projected: Invalid value: "b": conflicting duplicate paths
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": ""}}]}}
                spec.volumes[1].projected.sources[0].configMap.name: Required value
                spec.volumes[1].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source
            spec.volumes[1] = {"name": "claim", "persistentVolumeClaim": {"claimName": ""}}
                spec.volumes[1].persistentVolumeClaim.claimName: Required value
            spec.volumes[1] = {"name": "claim", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
                spec.volumes[1].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required
                spec.volumes[1].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value
            spec.volumes[1] = {"name": "nfs", "nfs": {"path": "", "server": ""}}
                spec.volumes[1].nfs.server: Required value
                spec.volumes[1].nfs.path: Required value
            - spec.serviceAccountName
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
                spec.volumes[1].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set
        "#]],
    );
}

#[test]
fn mounts() {
    check(
        r#"
        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/data"}]

        spec.containers[0].volumeMounts = [{"name": "gone", "mountPath": ""}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a"}, {"name": "data", "mountPath": "/a"}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "subPath": "../x", "subPathExpr": "/y"}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "mountPropagation": "Bidirectional"}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "mountPropagation": "Sideways"}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "recursiveReadOnly": "Enabled"}]

        spec.containers[0].volumeDevices = [{"name": "data", "devicePath": "/dev/../x"}, {"name": "gone", "devicePath": ""}]
        "#,
        expect![[r#"
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/data"}]
                fine
            spec.containers[0].volumeMounts = [{"name": "gone", "mountPath": ""}]
                spec.containers[0].volumeMounts[0].name: Not found: "gone"
                spec.containers[0].volumeMounts[0].mountPath: Required value
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a"}, {"name": "data", "mountPath": "/a"}]
                spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "subPath": "../x", "subPathExpr": "/y"}]
                spec.containers[0].volumeMounts.subPath: Invalid value: "../x": must not contain '..'
                spec.containers[0].volumeMounts[0].subPathExpr: Invalid value: "/y": subPathExpr and subPath are mutually exclusive
                spec.containers[0].volumeMounts.subPathExpr: Invalid value: "/y": must be a relative path
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "mountPropagation": "Bidirectional"}]
                spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "mountPropagation": "Sideways"}]
                spec.containers[0].volumeMounts.mountPropagation: Unsupported value: "Sideways": supported values: "Bidirectional", "HostToContainer", "None"
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "recursiveReadOnly": "Enabled"}]
                spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true
            spec.containers[0].volumeDevices = [{"name": "data", "devicePath": "/dev/../x"}, {"name": "gone", "devicePath": ""}]
                spec.containers[0].volumeDevices[0].name: Invalid value: "data": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode
                spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/dev/../x": can not contain backsteps ('..')
                spec.containers[0].volumeDevices[1].name: Not found: "gone"
                spec.containers[0].volumeDevices[1].devicePath: Required value
        "#]],
    );
}

#[test]
fn certificates_of_pods() {
    check(
        r#"
        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "example.com/s", "keyType": "ED25519", "maxExpirationSeconds": 86400, "credentialBundlePath": "b", "userAnnotations": {"example.com/a": "b"}}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "s", "keyType": "RSA2048", "maxExpirationSeconds": 86400}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "example.com/s", "keyType": "RSA3072", "maxExpirationSeconds": 3599, "keyPath": "/k", "certificateChainPath": "../c", "userAnnotations": {"a": "b"}}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "example.com/s", "keyType": "RSA3072", "maxExpirationSeconds": 7862401, "keyPath": "f", "certificateChainPath": "f"}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "kubernetes.io/s", "keyType": "RSA3072", "maxExpirationSeconds": 86401, "keyPath": "f"}, "secret": {"name": "s"}}]}}
        "#,
        expect![[r#"
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "example.com/s", "keyType": "ED25519", "maxExpirationSeconds": 86400, "credentialBundlePath": "b", "userAnnotations": {"example.com/a": "b"}}}]}}
                fine
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "s", "keyType": "RSA2048", "maxExpirationSeconds": 86400}}]}}
                spec.volumes[1].projected.sources[0].podCertificate.signerName: Invalid value: "s": must be a fully qualified domain and path of the form 'example.com/signer-name'
                spec.volumes[1].projected.sources[0].podCertificate.keyType: Unsupported value: "RSA2048": supported values: "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"
                spec.volumes[1].projected.sources[0].podCertificate: Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "example.com/s", "keyType": "RSA3072", "maxExpirationSeconds": 3599, "keyPath": "/k", "certificateChainPath": "../c", "userAnnotations": {"a": "b"}}}]}}
                spec.volumes[1].projected.sources[0].podCertificate.maxExpirationSeconds: Invalid value: 3599: must be in the range [3600, 7862400]
                spec.volumes[1].projected.sources[0].podCertificate.keyPath: Invalid value: "/k": must be a relative path
                spec.volumes[1].projected.sources[0].podCertificate.certificateChainPath: Invalid value: "../c": must not contain '..'
                spec.volumes[1].projected.sources[0].podCertificate.userAnnotations: Invalid value: "a": key "a" must be domain-prefixed
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "example.com/s", "keyType": "RSA3072", "maxExpirationSeconds": 7862401, "keyPath": "f", "certificateChainPath": "f"}}]}}
                spec.volumes[1].projected.sources[0].podCertificate.maxExpirationSeconds: Invalid value: 7862401: must be in the range [3600, 7862400]
                spec.volumes[1].projected: Invalid value: "f": conflicting duplicate paths
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"podCertificate": {"signerName": "kubernetes.io/s", "keyType": "RSA3072", "maxExpirationSeconds": 86401, "keyPath": "f"}, "secret": {"name": "s"}}]}}
                spec.volumes[1].projected.sources[0].podCertificate.maxExpirationSeconds: Invalid value: 86401: must be in the range [3600, 86400]
                spec.volumes[1].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source
        "#]],
    );
}
