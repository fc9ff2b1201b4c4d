use std::fmt::Write as _;

use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const DEFINITION: &str = r#"{
    "metadata": {"name": "widgets.example.com", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}
        }}}]
    }
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        DEFINITION,
        expect![[r#"
        {
          "apiVersion": "apiextensions.k8s.io/v1",
          "kind": "CustomResourceDefinition",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "widgets.example.com"
          },
          "spec": {
            "conversion": {
              "strategy": "None"
            },
            "group": "example.com",
            "names": {
              "kind": "Widget",
              "listKind": "WidgetList",
              "plural": "widgets",
              "singular": "widget"
            },
            "scope": "Namespaced",
            "versions": [
              {
                "name": "v1",
                "schema": {
                  "openAPIV3Schema": {
                    "properties": {
                      "spec": {
                        "properties": {
                          "size": {
                            "type": "integer"
                          }
                        },
                        "type": "object"
                      }
                    },
                    "type": "object"
                  }
                },
                "served": true,
                "storage": true
              }
            ]
          },
          "status": {
            "storedVersions": [
              "v1"
            ]
          }
        }
    "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        DEFINITION,
        r#"
        spec.names.shortNames = ["wd"]

        metadata.name = "gadgets.example.com"

        metadata.name = "widgets.example"
        spec.group = "example"

        metadata.name = "widgets."
        spec.group = ""

        spec.scope = ""

        spec.scope = "Galaxy"

        spec.names = {"plural": "widgets", "kind": "W!", "listKind": "W!", "singular": "W", "shortNames": ["1"], "categories": ["_"]}

        spec.names = {"plural": "widgets", "kind": ""}

        spec.versions[0].storage = false

        spec.versions[1] = {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}

        spec.versions[0].name = "V1"

        - spec.versions[0].schema

        spec.versions[0].deprecationWarning = "old"

        spec.versions[0].deprecated = true
        spec.versions[0].deprecationWarning = ""

        spec.versions[0].additionalPrinterColumns = [{"name": "", "type": "", "jsonPath": ""}, {"name": "a", "type": "odd", "format": "odd", "jsonPath": "spec.a"}]

        spec.versions[0].selectableFields = [{"jsonPath": ".spec.size"}, {"jsonPath": ".spec.size"}, {"jsonPath": ".metadata.name"}, {"jsonPath": ""}]

        spec.versions[0].subresources.scale = {"specReplicasPath": "", "statusReplicasPath": "status", "labelSelectorPath": ".metadata.x"}

        spec.versions[0].subresources.scale = {"specReplicasPath": ".status.x", "statusReplicasPath": ".spec.x"}

        spec.preserveUnknownFields = true

        spec.conversion = {"strategy": "Magic"}

        spec.conversion = {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}

        spec.conversion = {"strategy": "Webhook"}

        spec.conversion = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v0", "v0"], "clientConfig": {"url": "http://h"}}}

        metadata.name = "widgets.x.k8s.io"
        spec.group = "x.k8s.io"

        metadata.name = "widgets.x.k8s.io"
        metadata.annotations."api-approved.kubernetes.io" = "yes"
        spec.group = "x.k8s.io"

        metadata.name = "widgets.x.k8s.io"
        metadata.annotations."api-approved.kubernetes.io" = "unapproved, a test"
        spec.group = "x.k8s.io"
        "#,
        expect![[r#"
            spec.names.shortNames = ["wd"]
                fine
            metadata.name = "gadgets.example.com"
                metadata.name: Invalid value: "gadgets.example.com": must be spec.names.plural+"."+spec.group
            metadata.name = "widgets.example"
            spec.group = "example"
                spec.group: Invalid value: "example": should be a domain with at least one dot
            metadata.name = "widgets."
            spec.group = ""
                spec.group: Required value
            spec.scope = ""
                spec.scope: Required value
            spec.scope = "Galaxy"
                spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"
            spec.names = {"plural": "widgets", "kind": "W!", "listKind": "W!", "singular": "W", "shortNames": ["1"], "categories": ["_"]}
                spec.names.singular: Invalid value: "W": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
                spec.names.kind: Invalid value: "W!": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
                spec.names.listKind: Invalid value: "W!": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
                spec.names.shortNames[0]: Invalid value: "1": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
                spec.names.listKind: Invalid value: "W!": kind and listKind may not be the same
                spec.names.categories[0]: Invalid value: "_": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
            spec.names = {"plural": "widgets", "kind": ""}
                spec.names.singular: Required value
                spec.names.kind: Required value
                spec.names.listKind: Required value
            spec.versions[0].storage = false
                spec.versions: Invalid value: [{"name":"v1","schema":{"openAPIV3Schema":{"properties":{"spec":{"properties":{"size":{"type":"integer"}},"type":"object"}},"type":"object"}},"served":true,"storage":false}]: must have exactly one version marked as storage version
                status.storedVersions: Invalid value: []: must have at least one stored version
            spec.versions[1] = {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}
                spec.versions: Invalid value: [{"name":"v1","schema":{"openAPIV3Schema":{"properties":{"spec":{"properties":{"size":{"type":"integer"}},"type":"object"}},"type":"object"}},"served":true,"storage":true},{"name":"v1","schema":{"openAPIV3Schema":{"type":"object"}},"served":true,"storage":true}]: must contain unique version names
                spec.versions: Invalid value: [{"name":"v1","schema":{"openAPIV3Schema":{"properties":{"spec":{"properties":{"size":{"type":"integer"}},"type":"object"}},"type":"object"}},"served":true,"storage":true},{"name":"v1","schema":{"openAPIV3Schema":{"type":"object"}},"served":true,"storage":true}]: must have exactly one version marked as storage version
            spec.versions[0].name = "V1"
                spec.versions[0].name: Invalid value: "V1": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
            - spec.versions[0].schema
                spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required
            spec.versions[0].deprecationWarning = "old"
                spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions
            spec.versions[0].deprecated = true
            spec.versions[0].deprecationWarning = ""
                spec.versions[0].deprecationWarning: Invalid value: "": must not be an empty string
            spec.versions[0].additionalPrinterColumns = [{"name": "", "type": "", "jsonPath": ""}, {"name": "a", "type": "odd", "format": "odd", "jsonPath": "spec.a"}]
                spec.versions[0].additionalPrinterColumns[0].name: Required value
                spec.versions[0].additionalPrinterColumns[0].type: Required value: must be one of boolean,date,integer,number,string
                spec.versions[0].additionalPrinterColumns[0].jsonPath: Required value
                spec.versions[0].additionalPrinterColumns[1].type: Invalid value: "odd": must be one of boolean,date,integer,number,string
                spec.versions[0].additionalPrinterColumns[1].format: Invalid value: "odd": must be one of byte,date,date-time,double,float,int32,int64,password
                spec.versions[0].additionalPrinterColumns[1].jsonPath: Invalid value: "spec.a": must be a simple json path starting with .
            spec.versions[0].selectableFields = [{"jsonPath": ".spec.size"}, {"jsonPath": ".spec.size"}, {"jsonPath": ".metadata.name"}, {"jsonPath": ""}]
                spec.versions[0].selectableFields[1].jsonPath: Duplicate value: ".spec.size"
                spec.versions[0].selectableFields[2].jsonPath: Invalid value: ".metadata.name": must not point to fields in metadata
                spec.versions[0].selectableFields[3].jsonPath: Invalid value: "": must not be empty
            spec.versions[0].subresources.scale = {"specReplicasPath": "", "statusReplicasPath": "status", "labelSelectorPath": ".metadata.x"}
                spec.versions[0].subresources.scale.statusReplicasPath: Invalid value: "status": must be a simple json path starting with .
                spec.versions[0].subresources.scale.labelSelectorPath: Invalid value: ".metadata.x": should be a json path under either .spec or .status
                spec.versions[0].subresources.scale.specReplicasPath: Required value
            spec.versions[0].subresources.scale = {"specReplicasPath": ".status.x", "statusReplicasPath": ".spec.x"}
                spec.versions[0].subresources.scale.specReplicasPath: Invalid value: ".status.x": should be a json path under .spec
                spec.versions[0].subresources.scale.statusReplicasPath: Invalid value: ".spec.x": should be a json path under .status
            spec.preserveUnknownFields = true
                spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead
            spec.conversion = {"strategy": "Magic"}
                spec.conversion.strategy: Unsupported value: "Magic": supported values: "None", "Webhook"
            spec.conversion = {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}
                spec.conversion.webhook: Forbidden: should not be set when strategy is not set to Webhook
            spec.conversion = {"strategy": "Webhook"}
                spec.conversion.webhook.clientConfig: Required value: required when strategy is set to Webhook
                spec.conversion.webhook.conversionReviewVersions: Required value
            spec.conversion = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v0", "v0"], "clientConfig": {"url": "http://h"}}}
                spec.conversion.webhook.clientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]
                spec.conversion.webhook.conversionReviewVersions[1]: Invalid value: "v0": duplicate version
                spec.conversion.webhook.conversionReviewVersions: Invalid value: ["v0","v0"]: must include at least one of v1, v1beta1
            metadata.name = "widgets.x.k8s.io"
            spec.group = "x.k8s.io"
                metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111
            metadata.name = "widgets.x.k8s.io"
            metadata.annotations."api-approved.kubernetes.io" = "yes"
            spec.group = "x.k8s.io"
                metadata.annotations[api-approved.kubernetes.io]: Invalid value: "yes": protected groups must have approval annotation "api-approved.kubernetes.io" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111
            metadata.name = "widgets.x.k8s.io"
            metadata.annotations."api-approved.kubernetes.io" = "unapproved, a test"
            spec.group = "x.k8s.io"
                fine
        "#]],
    );
}

#[test]
fn schemas() {
    check_create(
        &Strategy,
        DEFINITION,
        r#"
        spec.versions[0].schema.openAPIV3Schema = {}

        spec.versions[0].schema.openAPIV3Schema = {"type": "array", "nullable": true, "additionalProperties": true}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "odd", "id": "x", "$ref": "x", "uniqueItems": true, "patternProperties": {"a": {}}, "definitions": {"a": {}}, "additionalItems": true, "dependencies": {}}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"properties": {"a": {}}, "additionalProperties": {"type": "string"}, "type": "object"}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "items": [{"type": "string"}]}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "items": {}, "x-kubernetes-preserve-unknown-fields": false}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "string", "x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "string", "x-kubernetes-embedded-resource": true}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}

        spec.versions[0].schema.openAPIV3Schema.properties.metadata = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}

        spec.versions[0].schema.openAPIV3Schema.properties.metadata = {"type": "object", "default": {}, "properties": {"labels": {"type": "object"}}}

        spec.versions[0].schema.openAPIV3Schema.properties.kind = {"type": "integer"}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "object", "allOf": [{"type": "object", "description": "d", "properties": {"a": {"minimum": 1}}}], "not": {"nullable": true, "items": {"pattern": "x"}}}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "object", "properties": {"a": {"type": "integer"}}, "anyOf": [{"properties": {"a": {"minimum": 1}}}, {"required": ["a"]}]}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "object", "x-kubernetes-list-type": "map", "x-kubernetes-map-type": "odd"}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "a", "b", "c"], "items": {"type": "object", "nullable": true, "properties": {"a": {"type": "string", "nullable": true}, "c": {"type": "object"}}, "required": ["c"]}}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "x-kubernetes-list-map-keys": ["a"], "items": {"type": "string"}}

        spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}

        spec.versions[0].subresources.status = {}

        spec.versions[0].subresources.status = {}
        spec.versions[0].schema.openAPIV3Schema.anyOf = [{"required": ["spec"]}]
        "#,
        expect![[r#"
            spec.versions[0].schema.openAPIV3Schema = {}
                spec.versions[0].schema.openAPIV3Schema.type: Required value: must not be empty at the root
            spec.versions[0].schema.openAPIV3Schema = {"type": "array", "nullable": true, "additionalProperties": true}
                spec.versions[0].schema.openAPIV3Schema.nullable: Forbidden: nullable cannot be true at the root
                spec.versions[0].schema.openAPIV3Schema.type: Invalid value: "array": must be object at the root
                spec.versions[0].schema.openAPIV3Schema.additionalProperties: Forbidden: must not be used at the root
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "odd", "id": "x", "$ref": "x", "uniqueItems": true, "patternProperties": {"a": {}}, "definitions": {"a": {}}, "additionalItems": true, "dependencies": {}}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Unsupported value: "odd": supported values: "array", "boolean", "integer", "number", "object", "string"
                spec.versions[0].schema.openAPIV3Schema.properties[spec].id: Forbidden: id is not supported
                spec.versions[0].schema.openAPIV3Schema.properties[spec].additionalItems: Forbidden: additionalItems is not supported
                spec.versions[0].schema.openAPIV3Schema.properties[spec].patternProperties: Forbidden: patternProperties is not supported
                spec.versions[0].schema.openAPIV3Schema.properties[spec].definitions: Forbidden: definitions is not supported
                spec.versions[0].schema.openAPIV3Schema.properties[spec].dependencies: Forbidden: dependencies is not supported
                spec.versions[0].schema.openAPIV3Schema.properties[spec].$ref: Forbidden: $ref is not supported
                spec.versions[0].schema.openAPIV3Schema.properties[spec].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"properties": {"a": {}}, "additionalProperties": {"type": "string"}, "type": "object"}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[a].type: Required value: must not be empty for specified object fields
                spec.versions[0].schema.openAPIV3Schema.properties[spec].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "items": [{"type": "string"}]}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items: Forbidden: items must be a schema object and not an array
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "items": {}, "x-kubernetes-preserve-unknown-fields": false}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items.type: Required value: must not be empty for specified array items
                spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}
                fine
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "string", "x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true
                spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Invalid value: "string": must be empty if x-kubernetes-int-or-string is true
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "string", "x-kubernetes-embedded-resource": true}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Invalid value: "string": must be object if x-kubernetes-embedded-resource is true
                spec.versions[0].schema.openAPIV3Schema.properties[spec].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}
                fine
            spec.versions[0].schema.openAPIV3Schema.properties.metadata = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}
                fine
            spec.versions[0].schema.openAPIV3Schema.properties.metadata = {"type": "object", "default": {}, "properties": {"labels": {"type": "object"}}}
                spec.versions[0].schema.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified
                spec.versions[0].schema.openAPIV3Schema.properties[metadata].default: Forbidden: must not be set in top-level metadata
            spec.versions[0].schema.openAPIV3Schema.properties.kind = {"type": "integer"}
                spec.versions[0].schema.openAPIV3Schema.properties[kind].type: Invalid value: "integer": must be string
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "object", "allOf": [{"type": "object", "description": "d", "properties": {"a": {"minimum": 1}}}], "not": {"nullable": true, "items": {"pattern": "x"}}}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].allOf[0].type: Forbidden: must be empty to be structural
                spec.versions[0].schema.openAPIV3Schema.properties[spec].allOf[0].description: Forbidden: must be empty to be structural
                spec.versions[0].schema.openAPIV3Schema.properties[spec].not.nullable: Forbidden: must be false to be structural
                spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[a]: Required value: because it is defined in spec.versions[0].schema.openAPIV3Schema.properties[spec].allOf[0].properties[a]
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items: Required value: because it is defined in spec.versions[0].schema.openAPIV3Schema.properties[spec].not.items
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "object", "properties": {"a": {"type": "integer"}}, "anyOf": [{"properties": {"a": {"minimum": 1}}}, {"required": ["a"]}]}
                fine
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "object", "x-kubernetes-list-type": "map", "x-kubernetes-map-type": "odd"}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-map-type: Unsupported value: "odd": supported values: "atomic", "granular"
                spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Invalid value: "object": must be array if x-kubernetes-list-type is specified
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "a", "b", "c"], "items": {"type": "object", "nullable": true, "properties": {"a": {"type": "string", "nullable": true}, "c": {"type": "object"}}, "required": ["c"]}}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items.properties[a].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be nullable
                spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-list-map-keys[1]: Duplicate value: "a"
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items.properties[a].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be nullable
                spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-list-map-keys[2]: Invalid value: "b": entries must all be names of item properties
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items.properties[c].type: Invalid value: "object": must be a scalar type if parent array's x-kubernetes-list-type is map
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is map
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "x-kubernetes-list-map-keys": ["a"], "items": {"type": "string"}}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty
            spec.versions[0].schema.openAPIV3Schema.properties.spec = {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}
                spec.versions[0].schema.openAPIV3Schema.properties[spec].items.x-kubernetes-map-type: Invalid value: "": must be atomic as item of a list with x-kubernetes-list-type=set
            spec.versions[0].subresources.status = {}
                fine
            spec.versions[0].subresources.status = {}
            spec.versions[0].schema.openAPIV3Schema.anyOf = [{"required": ["spec"]}]
                spec.versions[0].schema.openAPIV3Schema: Invalid value: {"anyOf":[{"required":["spec"]}],"properties":{"spec":{"properties":{"size":{"type":"integer"}},"type":"object"}},"type":"object"}: only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the status subresource is enabled
        "#]],
    );
}

#[test]
fn changes() {
    check_update(
        &Strategy,
        DEFINITION,
        r#"
        spec.names.shortNames = ["w"]

        metadata.name = "gadgets.example.org"
        spec.names.plural = "gadgets"
        spec.group = "example.org"

        spec.names.kind = "Gadget"
        spec.scope = "Cluster"

        spec.versions[0].name = "v2"
        "#,
        Part::Main,
        expect![[r#"
            spec.names.shortNames = ["w"]
                fine
            metadata.name = "gadgets.example.org"
            spec.names.plural = "gadgets"
            spec.group = "example.org"
                spec.group: Invalid value: "example.org": field is immutable
                spec.names.plural: Invalid value: "gadgets": field is immutable
            spec.names.kind = "Gadget"
            spec.scope = "Cluster"
                fine
            spec.versions[0].name = "v2"
                status.storedVersions[0]: Invalid value: "v1": must appear in spec.versions
        "#]],
    );
}

#[test]
fn names_of_what_is_served_stay() {
    use crate::Strategy as _;
    let established = "status = {\"storedVersions\": [\"v1\"], \"conditions\": [{\"type\": \"Established\", \"status\": \"True\"}]}";
    let old = object(&Strategy, DEFINITION, established);
    let new = object(
        &Strategy,
        DEFINITION,
        &format!("{established}\nspec.names.kind = \"Gadget\"\nspec.scope = \"Cluster\""),
    );
    expect![[r#"
        spec.scope: Invalid value: "Cluster": field is immutable
        spec.names.kind: Invalid value: "Gadget": field is immutable
    "#]]
    .assert_eq(&crate::testing::causes(&Strategy.validate_update(&new, &old, Part::Main)));
}

#[test]
fn the_stored_version_is_noted() {
    use crate::Strategy as _;
    let old = object(&Strategy, DEFINITION, "");
    let mut new = object(
        &Strategy,
        DEFINITION,
        r#"
        spec.versions[0].storage = false
        spec.versions[1] = {"name": "v2", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}
        "#,
    );
    Strategy.prepare_update(&mut new, &old, Part::Main);
    assert_eq!(new.status.unwrap().stored_versions.unwrap(), ["v1", "v2"]);
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        DEFINITION,
        "spec.names.shortNames = [\"w\"]",
        expect![[r#"
        NAME  CREATED AT
        widgets.example.com  2026-01-01T00:00:00Z
    "#]],
    );
}

#[test]
fn names_that_another_has() {
    let other = object(
        &Strategy,
        DEFINITION,
        r#"
        metadata.name = "others.example.com"
        status.acceptedNames = {"plural": "others", "singular": "other", "kind": "Other", "listKind": "OtherList", "shortNames": ["ot"]}
        "#,
    );
    let judged = |edits: &str| {
        let definition = object(&Strategy, DEFINITION, edits);
        let found = names::judge(&definition, &[other.clone(), definition.clone()]);
        let mut out = String::new();
        let n = &found.accepted;
        writeln!(out, "{} {:?} {} {:?} {:?}", n.plural, n.singular, n.kind, n.list_kind, n.short_names)
            .unwrap();
        for c in &found.conditions {
            let (reason, message) = (c.reason.as_deref().unwrap(), c.message.as_deref().unwrap());
            writeln!(out, "{}={} {reason}: {message}", c.type_, c.status).unwrap();
        }
        out
    };
    expect![[r#"
        widgets Some("widget") Widget Some("WidgetList") None
        NamesAccepted=True NoConflicts: no conflicts found
        Established=True InitialNamesAccepted: the initial names have been accepted
    "#]]
    .assert_eq(&judged(""));
    expect![[r#"
        widgets None  None None
        NamesAccepted=False ShortNamesConflict: "ot" is already in use
        Established=False NotAccepted: not all names are accepted
    "#]].assert_eq(&judged(
        "spec.names = {\"plural\": \"widgets\", \"singular\": \"other\", \"kind\": \"Other\", \"shortNames\": [\"ot\", \"wd\"]}",
    ));
    // Another group is another world.
    expect![[r#"
        widgets Some("other") Other Some("OtherList") None
        NamesAccepted=True NoConflicts: no conflicts found
        Established=True InitialNamesAccepted: the initial names have been accepted
    "#]]
    .assert_eq(&judged("spec.group = \"example.org\"\nspec.names.kind = \"Other\""));
    // What is established stays that.
    expect![[r#"
        widgets None Widget None None
        NamesAccepted=False ListKindConflict: "OtherList" is already in use
        Established=True InitialNamesAccepted: the initial names have been accepted
    "#]].assert_eq(&judged(
        "spec.names.kind = \"Other\"\nstatus = {\"storedVersions\": [\"v1\"], \"acceptedNames\": {\"plural\": \"widgets\", \"kind\": \"Widget\"}, \"conditions\": [{\"type\": \"Established\", \"status\": \"True\"}]}",
    ));
}
