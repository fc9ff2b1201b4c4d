//! Fixtures of this crate's tests.

use codec::Kind as _;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

/// A pod from JSON; apiVersion and kind are added.
pub fn pod_json(mut value: Value) -> Pod {
    value["apiVersion"] = json!("v1");
    value["kind"] = json!("Pod");
    Pod::from_json(value.to_string().as_bytes()).expect("a pod")
}
