//! Server-side apply: one more change in the loop of `update`, or a create when there is nothing to change.

use apimachinery::Status;
use apimachinery::raw::Raw;
use codec::AnyObject;
use codec::decode::{Content, Strictness, decode};
use codec::managed::{self, Apply};
use resources::strategy::Part;

use crate::managed::Write;
use crate::options::WriteOptions;
use crate::registry::{Registry, Target, Written};
use crate::update::{Changed, Kind, matches_request};

impl Registry {
    /// Applies a configuration to a part of an object. Where there is none, it is created if `options.may_create`; else that
    /// is a 404.
    pub async fn apply(
        &self,
        target: &Target<'_>,
        kind: Kind<'_>,
        apply: &Apply<'_>,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        let options = WriteOptions { applied: true, ..options.clone() };
        let creates = kind.part == Part::Main && options.may_create;
        if creates && self.rows.latest(target.resource, &target.key()).await?.is_none() {
            let Changed { object, warnings } = self.applied(target, kind, apply, None, &options)?;
            matches_request(target, &*object)?;
            let mut written = self.create_by_update(target, object, &options).await?;
            written.warnings.splice(0..0, warnings);
            return Ok(written);
        }
        let change = |old: &dyn AnyObject| self.applied(target, kind, apply, Some(old), &options);
        self.change(target, kind, &change, &options).await
    }

    fn applied(
        &self,
        target: &Target<'_>,
        kind: Kind<'_>,
        apply: &Apply<'_>,
        live: Option<&dyn AnyObject>,
        options: &WriteOptions,
    ) -> Result<Changed, Status> {
        let resource = target.resource;
        let write = Write { resource, subresource: kind.subresource, options, now: self.clock.now() };
        let api_version = resource.gvk.api_version();
        let elsewhere =
            |version: &str, live: Raw<'_>, new: Raw<'_>| self.elsewhere(resource, version, live, new);
        let live = live.map(|object| resource.view(object));
        let done = managed::apply(apply, live.as_deref(), &write.writer(&api_version), &elsewhere)?;
        // What does not fit the type was refused already; what remains are values such as quantities.
        let decoded = decode(&resource.gvk, &done.json, Content::Json, Strictness::Ignore)?;
        let object = resource.read(&decoded.json).map_err(|e| Status::bad_request(e.to_string()))?;
        Ok(Changed { object, warnings: done.warnings })
    }
}
