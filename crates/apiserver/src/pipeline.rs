//! What happens to a request, as values: authenticate → impersonate → authorize → decode → default → mutate →
//! validate → admit → store. `http` runs all of it (`http::service::chain`), in-process components begin at
//! [`handle`]; from decode on it is the registry's.

use apimachinery::Status;

use crate::api::Api;

pub mod absent;
pub mod authenticate;
pub mod authorize;
pub mod bindings;
pub mod body;
pub mod call;
pub mod computed;
mod delete_options;
pub mod dispatch;
pub mod impersonate;
pub mod options;
pub mod params;
mod patch;
pub mod path;
pub mod subresources;
pub mod virtuals;
mod write;

use call::{Call, Outcome};
use dispatch::Backend;

/// Authorizes and answers a call of a known user.
pub async fn handle(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let attributes =
        authorize::resource_attributes(&call.user, call.verb.name(), &call.path, &call.params.field_selector);
    authorize::authorize(&*api.authorizer, &attributes).await?;
    answer(api, call).await
}

/// Answers an authorized call.
pub async fn answer(api: &Api, call: &Call) -> Result<Outcome, Status> {
    if let Some(done) = computed::answer(api, call).await {
        return done;
    }
    match virtuals::answer(&api.virtuals, call).await {
        Some(done) => done,
        None => {
            let backend = Backend { registry: &api.registry, authorizer: Some(&*api.authorizer) };
            dispatch::dispatch(backend, call).await
        }
    }
}
