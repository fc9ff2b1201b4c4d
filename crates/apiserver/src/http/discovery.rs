//! Discovery: which groups, versions and resources there are, in the legacy and the aggregated form.
//! Everything is made once from the table of resources and kept as bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use resources::Resource;
use serde_json::{Value, json};

use crate::pipeline::subresources;
use crate::pipeline::virtuals::Virtual;

/// All discovery documents.
#[derive(Debug)]
pub struct Discovery {
    /// By path, without a trailing slash.
    legacy: BTreeMap<String, Bytes>,
    aggregated_core: Document,
    aggregated_groups: Document,
}

/// A body and its ETag.
#[derive(Clone, Debug)]
pub struct Document {
    pub body: Bytes,
    pub etag: String,
}

/// Versions of one group in the order of the table.
struct Group<'a> {
    name: &'a str,
    versions: Vec<(&'a str, Vec<Row<'a>>)>,
}

/// What has a row of its own in discovery.
#[derive(Clone, Copy)]
enum Row<'a> {
    Stored(&'a Resource),
    Virtual(&'a Virtual),
}

impl<'a> Row<'a> {
    fn group_version(self) -> (&'a str, &'a str) {
        match self {
            Row::Stored(r) => (&r.gvr.group, &r.gvr.version),
            Row::Virtual(v) => (v.group, &v.kind.version),
        }
    }
}

impl Discovery {
    /// `address` is what `/api` names as the server's address (`host:port`).
    pub fn new(resources: &[Resource], virtuals: &[Virtual], address: &str) -> Discovery {
        let own = virtuals.iter().filter(|v| v.is_own()).map(Row::Virtual);
        let groups = grouped(resources.iter().map(Row::Stored).chain(own));
        let mut legacy = BTreeMap::new();
        for group in &groups {
            for (version, rows) in &group.versions {
                let (path, list) = resource_list(group.name, version, rows);
                legacy.insert(path, encode(&list));
            }
            if !group.name.is_empty() {
                let mut document = api_group(group);
                document["kind"] = json!("APIGroup");
                document["apiVersion"] = json!("v1");
                legacy.insert(format!("/apis/{}", group.name), encode(&document));
            }
        }
        legacy.insert("/api".into(), encode(&api_versions(address)));
        let named: Vec<_> = groups.iter().filter(|g| !g.name.is_empty()).collect();
        legacy.insert(
            "/apis".into(),
            encode(&json!({
                "kind": "APIGroupList", "apiVersion": "v1",
                "groups": named.iter().map(|g| api_group(g)).collect::<Vec<_>>(),
            })),
        );
        let core: Vec<_> = groups.iter().filter(|g| g.name.is_empty()).collect();
        Discovery { legacy, aggregated_core: aggregated(&core), aggregated_groups: aggregated(&named) }
    }

    /// The legacy document at a path.
    pub fn legacy(&self, path: &str) -> Option<Bytes> {
        self.legacy.get(path.trim_end_matches('/')).cloned()
    }

    /// The aggregated document of `/api` or `/apis`.
    pub fn aggregated(&self, path: &str) -> Option<&Document> {
        match path.trim_end_matches('/') {
            "/api" => Some(&self.aggregated_core),
            "/apis" => Some(&self.aggregated_groups),
            _ => None,
        }
    }

    /// All paths served here, for the index at `/`.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.legacy.keys().map(|k| &**k)
    }
}

fn encode(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn grouped<'a>(rows: impl Iterator<Item = Row<'a>>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in rows {
        let (group, version) = row.group_version();
        let at = groups.iter().position(|g| g.name == group).unwrap_or_else(|| {
            groups.push(Group { name: group, versions: Vec::new() });
            groups.len() - 1
        });
        let versions = &mut groups[at].versions;
        match versions.iter_mut().find(|(v, _)| *v == version) {
            Some((_, rows)) => rows.push(row),
            None => versions.push((version, vec![row])),
        }
    }
    groups
}

fn api_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

fn api_group(group: &Group<'_>) -> Value {
    let version = |v: &str| json!({"groupVersion": format!("{}/{v}", group.name), "version": v});
    json!({
        "name": group.name,
        "versions": group.versions.iter().map(|(v, _)| version(v)).collect::<Vec<_>>(),
        "preferredVersion": group.versions.first().map(|(v, _)| version(v)),
    })
}

fn resource_list(group: &str, version: &str, rows: &[Row<'_>]) -> (String, Value) {
    let (path, group_version) = match group {
        "" => (format!("/api/{version}"), version.to_owned()),
        group => (format!("/apis/{group}/{version}"), format!("{group}/{version}")),
    };
    let mut list: Vec<Value> = rows
        .iter()
        .flat_map(|row| match row {
            Row::Stored(resource) => legacy_rows(resource),
            Row::Virtual(found) => vec![json!({
                "name": found.resource,
                "singularName": found.kind.kind.to_lowercase(),
                "namespaced": found.namespaced,
                "kind": &*found.kind.kind,
                "verbs": ["create"],
            })],
        })
        .collect();
    list.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    let document = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list,
    });
    (path, document)
}

/// A resource and its subresources as `APIResource`s.
fn legacy_rows(resource: &Resource) -> Vec<Value> {
    let mut main = json!({
        "name": &*resource.gvr.resource,
        "singularName": resource.singular,
        "namespaced": resource.namespaced(),
        "kind": &*resource.gvk.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        main["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        main["categories"] = json!(resource.categories);
    }
    let mut rows = vec![main];
    for name in resource.subresources {
        let Some(sub) = subresources::find(resource, name) else { continue };
        let mut row = json!({
            "name": format!("{}/{name}", resource.gvr.resource),
            "singularName": "",
            "namespaced": resource.namespaced(),
            "kind": sub.kind.map_or(&*resource.gvk.kind, |k| k.2),
            "verbs": sub.verbs,
        });
        if let Some((group, version, _)) = sub.kind
            && (group, version) != (&*resource.gvk.group, &*resource.gvk.version)
        {
            row["group"] = json!(group);
            row["version"] = json!(version);
        }
        rows.push(row);
    }
    rows
}

fn aggregated(groups: &[&Group<'_>]) -> Document {
    let items: Vec<Value> = groups
        .iter()
        .map(|group| {
            let versions: Vec<Value> = group
                .versions
                .iter()
                .map(|(version, rows)| {
                    let mut list: Vec<Value> = rows
                        .iter()
                        .map(|row| match row {
                            Row::Stored(resource) => aggregated_row(resource),
                            Row::Virtual(found) => virtual_row(found),
                        })
                        .collect();
                    list.sort_by(|a, b| a["resource"].as_str().cmp(&b["resource"].as_str()));
                    json!({"version": version, "resources": list, "freshness": "Current"})
                })
                .collect();
            let mut item = json!({"metadata": {"creationTimestamp": null}, "versions": versions});
            if !group.name.is_empty() {
                item["metadata"]["name"] = json!(group.name);
            }
            item
        })
        .collect();
    let body = encode(&json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    }));
    Document { etag: etag(&body), body }
}

fn aggregated_row(resource: &Resource) -> Value {
    let kind =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let own = kind(&resource.gvk.group, &resource.gvk.version, &resource.gvk.kind);
    let subs: Vec<Value> = resource
        .subresources
        .iter()
        .filter_map(|name| subresources::find(resource, name))
        .map(|sub| {
            json!({
                "subresource": sub.path.1,
                "responseKind": sub.kind.map_or_else(|| own.clone(), |(g, v, k)| kind(g, v, k)),
                "verbs": sub.verbs,
            })
        })
        .collect();
    let mut row = json!({
        "resource": &*resource.gvr.resource,
        "responseKind": own,
        "scope": if resource.namespaced() { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    for (field, list) in [("shortNames", resource.short_names), ("categories", resource.categories)] {
        if !list.is_empty() {
            row[field] = json!(list);
        }
    }
    if !subs.is_empty() {
        row["subresources"] = json!(subs);
    }
    row
}

fn virtual_row(found: &Virtual) -> Value {
    let kind = &found.kind;
    json!({
        "resource": found.resource,
        "responseKind": {"group": &*kind.group, "version": &*kind.version, "kind": &*kind.kind},
        "scope": if found.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.kind.to_lowercase(),
        "verbs": ["create"],
    })
}

/// A strong validator of a body: 128 bits of FNV-1a, quoted. Good enough to tell versions of one document apart.
pub fn etag(body: &[u8]) -> String {
    format!("\"{}\"", fingerprint(body))
}

/// The hex digits of [`etag`].
pub fn fingerprint(body: &[u8]) -> String {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in body {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("{hash:032X}")
}
