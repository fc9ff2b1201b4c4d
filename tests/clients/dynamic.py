"""The everyday life of the Python client: discovery, every verb, a watch. Prints what came back."""

import sys

from kubernetes import client, config, dynamic

api = config.new_client_from_config(config_file=sys.argv[1])
maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
where = {"namespace": "default", "name": "py"}
body = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "py", "labels": {"of": "python"}},
    "data": {"k": "v"},
}
print("create", maps.create(body=body, namespace="default").data.k)
body["data"]["k"] = "w"
print("merge", maps.patch(body=body, content_type="application/merge-patch+json", **where).data.k)
applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "py"}, "data": {"z": "1"}}
print("apply", maps.server_side_apply(body=applied, field_manager="python", **where).data.to_dict())
print("list", [i.metadata.name for i in maps.get(namespace="default", label_selector="of=python").items])
for event in maps.watch(namespace="default", name="py", timeout=1):
    print("watch", event["type"], event["object"].metadata.name)
print("delete", maps.delete(**where).status)
try:
    maps.get(**where)
except dynamic.exceptions.NotFoundError as error:
    print("gone", error.status)
pages, token = 0, None
core = client.CoreV1Api(api)
for n in range(5):
    core.create_namespaced_config_map("default", client.V1ConfigMap(metadata={"generateName": "page-", "labels": {"of": "pages"}}))
names = set()
while True:
    page = core.list_namespaced_config_map("default", label_selector="of=pages", limit=2, _continue=token)
    names.update(i.metadata.name for i in page.items)
    pages, token = pages + 1, page.metadata._continue
    if not token:
        break
print("pages", pages, len(names))
print("events", client.EventsV1Api(api).list_namespaced_event("default").kind)
