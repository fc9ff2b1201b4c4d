//! How a controller says what it has seen.

use apimachinery::{ObjectKey, Status};
use client::Api;
use codec::Kind;

/// Writes the status that `put` sets when it says something new; once more on the latest object if that has changed meanwhile.
pub(crate) async fn write<K: Kind>(api: &Api<K>, object: &K, put: impl Fn(&mut K)) -> Result<(), Status> {
    let mut new = object.clone();
    put(&mut new);
    if new == *object {
        return Ok(());
    }
    match api.update_status(&new).await {
        Err(e) if e.is_conflict() => {
            let key = ObjectKey::new(object.namespace(), object.name());
            match api.find(&key).await? {
                Some(mut fresh) if fresh.uid() == object.uid() => {
                    put(&mut fresh);
                    api.update_status(&fresh).await.map(drop)
                }
                _ => Ok(()),
            }
        }
        Err(e) if e.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}
