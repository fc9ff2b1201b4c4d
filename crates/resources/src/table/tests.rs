use std::collections::BTreeSet;

use expect_test::expect;

use super::*;

#[test]
fn the_table() {
    let mut out = String::new();
    for r in all() {
        let scope = if r.namespaced() { "" } else { " cluster" };
        let list = |name: &str, list: &[&str]| match list {
            [] => String::new(),
            list => format!(" {name}={}", list.join(",")),
        };
        out += &format!(
            "{} {} {}{scope}{}{}{}{}{}\n",
            r.gvk.api_version(),
            r.gvr.resource,
            r.singular,
            list("short", r.short_names),
            list("in", r.categories),
            list("with", r.subresources),
            list("fields", r.strategy.field_names()),
            r.gate.map(|gate| format!(" behind {gate:?}")).unwrap_or_default(),
        );
    }
    expect![[r#"
        v1 configmaps configmap short=cm
        v1 endpoints endpoints short=ep
        v1 events event short=ev fields=involvedObject.kind,involvedObject.namespace,involvedObject.name,involvedObject.uid,involvedObject.apiVersion,involvedObject.resourceVersion,involvedObject.fieldPath,reason,reportingComponent,source,type
        v1 limitranges limitrange short=limits
        v1 namespaces namespace cluster short=ns with=finalize,status fields=status.phase
        v1 nodes node cluster short=no with=proxy,status fields=spec.unschedulable
        v1 persistentvolumeclaims persistentvolumeclaim short=pvc with=status fields=name
        v1 persistentvolumes persistentvolume cluster short=pv with=status fields=name
        v1 pods pod short=po in=all with=attach,binding,ephemeralcontainers,eviction,exec,log,portforward,proxy,resize,status fields=spec.nodeName,spec.restartPolicy,spec.schedulerName,spec.serviceAccountName,spec.hostNetwork,status.phase,status.podIP,status.nominatedNodeName
        v1 podtemplates podtemplate
        v1 replicationcontrollers replicationcontroller short=rc in=all with=scale,status fields=status.replicas
        v1 resourcequotas resourcequota short=quota with=status
        v1 secrets secret fields=type
        v1 serviceaccounts serviceaccount short=sa with=token
        v1 services service short=svc in=all with=proxy,status fields=spec.clusterIP,spec.type
        admissionregistration.k8s.io/v1 mutatingadmissionpolicies mutatingadmissionpolicy cluster in=api-extensions behind AdmissionPolicies
        admissionregistration.k8s.io/v1 mutatingadmissionpolicybindings mutatingadmissionpolicybinding cluster in=api-extensions behind AdmissionPolicies
        admissionregistration.k8s.io/v1 mutatingwebhookconfigurations mutatingwebhookconfiguration cluster in=api-extensions behind AdmissionWebhooks
        admissionregistration.k8s.io/v1 validatingadmissionpolicies validatingadmissionpolicy cluster in=api-extensions with=status behind AdmissionPolicies
        admissionregistration.k8s.io/v1 validatingadmissionpolicybindings validatingadmissionpolicybinding cluster in=api-extensions behind AdmissionPolicies
        admissionregistration.k8s.io/v1 validatingwebhookconfigurations validatingwebhookconfiguration cluster in=api-extensions behind AdmissionWebhooks
        apiextensions.k8s.io/v1 customresourcedefinitions customresourcedefinition cluster short=crd,crds in=api-extensions with=status behind CustomResources
        apiregistration.k8s.io/v1 apiservices apiservice cluster in=api-extensions with=status behind Aggregation
        apps/v1 controllerrevisions controllerrevision
        apps/v1 daemonsets daemonset short=ds in=all with=status
        apps/v1 deployments deployment short=deploy in=all with=scale,status
        apps/v1 replicasets replicaset short=rs in=all with=scale,status fields=status.replicas
        apps/v1 statefulsets statefulset short=sts in=all with=scale,status
        autoscaling/v2 horizontalpodautoscalers horizontalpodautoscaler short=hpa in=all with=status
        autoscaling/v1 horizontalpodautoscalers horizontalpodautoscaler short=hpa in=all with=status
        batch/v1 cronjobs cronjob short=cj in=all with=status
        batch/v1 jobs job in=all with=status fields=status.successful
        certificates.k8s.io/v1 certificatesigningrequests certificatesigningrequest cluster short=csr with=approval,status fields=spec.signerName
        certificates.k8s.io/v1 clustertrustbundles clustertrustbundle cluster fields=spec.signerName
        certificates.k8s.io/v1 podcertificaterequests podcertificaterequest with=status fields=spec.signerName,spec.podName,spec.nodeName
        events.k8s.io/v1 events event short=ev fields=involvedObject.kind,involvedObject.namespace,involvedObject.name,involvedObject.uid,involvedObject.apiVersion,involvedObject.resourceVersion,involvedObject.fieldPath,reason,reportingComponent,source,type
        coordination.k8s.io/v1 leases lease
        discovery.k8s.io/v1 endpointslices endpointslice
        flowcontrol.apiserver.k8s.io/v1 flowschemas flowschema cluster with=status
        flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations prioritylevelconfiguration cluster with=status
        networking.k8s.io/v1 ingressclasses ingressclass cluster
        networking.k8s.io/v1 ingresses ingress short=ing with=status
        networking.k8s.io/v1 ipaddresses ipaddress cluster short=ip
        networking.k8s.io/v1 networkpolicies networkpolicy short=netpol
        networking.k8s.io/v1 servicecidrs servicecidr cluster with=status
        node.k8s.io/v1 runtimeclasses runtimeclass cluster
        policy/v1 poddisruptionbudgets poddisruptionbudget short=pdb with=status
        rbac.authorization.k8s.io/v1 clusterrolebindings clusterrolebinding cluster
        rbac.authorization.k8s.io/v1 clusterroles clusterrole cluster
        rbac.authorization.k8s.io/v1 rolebindings rolebinding
        rbac.authorization.k8s.io/v1 roles role
        resource.k8s.io/v1 deviceclasses deviceclass cluster
        resource.k8s.io/v1 devicetaintrules devicetaintrule cluster with=status
        resource.k8s.io/v1 resourceclaims resourceclaim with=status
        resource.k8s.io/v1 resourceclaimtemplates resourceclaimtemplate
        resource.k8s.io/v1 resourceslices resourceslice cluster fields=spec.nodeName,spec.driver
        scheduling.k8s.io/v1 priorityclasses priorityclass cluster short=pc
        storage.k8s.io/v1 csidrivers csidriver cluster
        storage.k8s.io/v1 csinodes csinode cluster
        storage.k8s.io/v1 csistoragecapacities csistoragecapacity
        storage.k8s.io/v1 storageclasses storageclass cluster short=sc
        storage.k8s.io/v1 volumeattachments volumeattachment cluster with=status
        storage.k8s.io/v1 volumeattributesclasses volumeattributesclass cluster short=vac
        storagemigration.k8s.io/v1 storageversionmigrations storageversionmigration cluster with=status
    "#]].assert_eq(&out);
}

#[test]
fn names_are_unambiguous() {
    let mut seen = BTreeSet::new();
    // Versions of a kind share its names.
    for r in all().into_iter().filter(|r| r.conversion.is_none()) {
        let names: BTreeSet<&str> =
            [&*r.gvr.resource, r.singular].into_iter().chain(r.short_names.iter().copied()).collect();
        for name in names {
            assert!(seen.insert(name.to_owned()), "{name} twice");
        }
    }
}

#[test]
fn every_empty_object_can_be_shown_and_judged() {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    for r in all() {
        // The least that decodes: kinds whose spec is required have at least an empty one.
        let json = br#"{"metadata": {"name": "x"}, "spec": {"request": "", "signerName": "", "attacher": "", "nodeName": "", "source": {}, "drivers": [], "selector": {}, "template": {}}, "involvedObject": {}, "roleRef": {"kind": "", "name": ""}, "addressType": "", "endpoints": [], "provisioner": "", "driverName": "", "handler": "", "storageClassName": ""}"#;
        let Ok(mut object) = r.strategy.decode(json) else { panic!("{}", r.gvk.kind) };
        r.strategy.default(&mut *object);
        let old = object.clone_box();
        r.strategy.prepare_create(&mut *object);
        r.strategy.prepare_update(&mut *object, &*old, crate::strategy::Part::Main);
        r.strategy.validate(&*object);
        r.strategy.validate_update(&*object, &*old, crate::strategy::Part::Main);
        assert_eq!(r.strategy.row(&*object, now).len(), r.strategy.columns().len(), "{}", r.gvk.kind);
        let fields: Vec<_> = r.strategy.fields(&*object).into_iter().map(|(name, _)| name).collect();
        assert_eq!(fields, r.strategy.field_names(), "{}", r.gvk.kind);
    }
}
