//! The batch group.

pub mod cron_job;
pub mod indexes;
pub mod job;
pub mod schedule;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Namespaced, "cronjob", cron_job::Strategy)
            .short(&["cj"])
            .in_categories(&["all"])
            .with(&["status"]),
        Resource::new(Scope::Namespaced, "job", job::Strategy).in_categories(&["all"]).with(&["status"]),
    ]
}
