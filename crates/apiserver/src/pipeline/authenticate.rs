//! The authentication stage: who asks.

use apimachinery::Status;
use auth::UserInfo;
use auth::authn::{Authenticator, Credentials};

/// Who shows these credentials; 401 when they are bad, or nobody's and anonymous requests are not allowed.
pub async fn authenticate(
    authenticator: &dyn Authenticator,
    credentials: &Credentials,
) -> Result<UserInfo, Status> {
    match authenticator.authenticate(credentials).await {
        Ok(Some(user)) => Ok(user.authenticated()),
        Ok(None) => Err(Status::unauthorized()),
        Err(why) => {
            tracing::info!(%why, "authentication fails");
            Err(Status::unauthorized())
        }
    }
}
