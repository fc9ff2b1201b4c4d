//! Bad pods and what is said about them.

mod changes;
mod containers;
mod good;
mod placement;
mod storage;

use expect_test::Expect;

use crate::core::pod::Strategy;
use crate::testing::check_create;

const POD: &str = r#"{
    "metadata": {"name": "web", "namespace": "default", "resourceVersion": "1"},
    "spec": {
        "serviceAccountName": "default",
        "containers": [{"name": "app", "image": "nginx:1"}],
        "volumes": [{"name": "data", "emptyDir": {}}]
    }
}"#;

#[track_caller]
fn check(cases: &str, expect: Expect) {
    check_create(&Strategy, POD, cases, expect);
}
