//! How many objects of a resource a namespace has. A resource is followed from when some quota first bounds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use client::transport::{View, ViewScope};
use futures::StreamExt;
use resources::core::resource_quota::usage::{NAMED, count_name};

use super::Wake;
use crate::context::{Component, object};

/// Those whose objects use more than their number are in `Uses`.
const ELSEWHERE: &[&str] = &["pods", "services", "persistentvolumeclaims"];

pub(super) struct Counts {
    component: Component,
    wake: Wake,
    views: Mutex<HashMap<String, Arc<dyn View>>>,
}

impl Counts {
    pub fn new(component: &Component, wake: Wake) -> Self {
        Counts { component: component.clone(), wake, views: Mutex::default() }
    }

    /// The number, when `bound` (a resource's name in a quota) is the number of something.
    pub async fn count(&self, bound: &str, namespace: &str) -> Option<i64> {
        let view = self.view(bound)?;
        view.synced().await;
        Some(i64::try_from(view.list(namespace).len()).unwrap_or(i64::MAX))
    }

    fn view(&self, bound: &str) -> Option<Arc<dyn View>> {
        let served = self.component.config.resources.iter().find(|r| {
            let elsewhere = r.gvr.group.is_empty() && ELSEWHERE.contains(&&*r.gvr.resource);
            let named = r.gvr.group.is_empty() && NAMED.contains(&bound) && *r.gvr.resource == *bound;
            !elsewhere && r.namespaced && r.can("list") && (named || count_name(&r.gvr) == bound)
        })?;
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views.get(bound) {
            return Some(view.clone());
        }
        let view = self.component.views.reflect(&served.gvr, &ViewScope::default());
        let (mut changes, wake) = (view.subscribe(), self.wake.clone());
        self.component.tasks.spawn_until_shutdown(async move {
            while let Some(change) = changes.next().await {
                let moved = change.old.is_none() || change.new.is_none();
                if let Some(object) = object(&change).filter(|_| moved) {
                    wake(&object.key.namespace);
                }
            }
        });
        views.insert(bound.to_owned(), view.clone());
        Some(view)
    }
}
