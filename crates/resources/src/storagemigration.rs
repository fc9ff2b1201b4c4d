//! The storagemigration.k8s.io group.

pub mod storage_version_migration;

use crate::strategy::{Resource, Scope};

/// The group's table.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Cluster, "storageversionmigration", storage_version_migration::Strategy)
            .with(&["status"]),
    ]
}
