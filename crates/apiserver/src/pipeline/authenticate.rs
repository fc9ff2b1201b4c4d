//! The authentication stage: who asks.

use apimachinery::Status;
use auth::UserInfo;
use auth::authn::{Authenticator, Credentials};

const ANONYMOUS: &str = "system:anonymous";
const AUTHENTICATED: &str = "system:authenticated";

/// Who shows these credentials; nobody's credentials are anonymous, bad ones 401.
pub async fn authenticate(
    authenticator: &dyn Authenticator,
    credentials: &Credentials,
) -> Result<UserInfo, Status> {
    match authenticator.authenticate(credentials).await {
        Ok(Some(user)) => Ok(with_authenticated(user)),
        // A token that no authenticator knows is bad; a certificate alone might be meant for someone else.
        Ok(None) if credentials.token.is_some() || !credentials.certificates.is_empty() => {
            Err(Status::unauthorized())
        }
        Ok(None) => Ok(UserInfo::new(ANONYMOUS, &["system:unauthenticated"])),
        Err(why) => {
            tracing::info!(%why, "authentication fails");
            Err(Status::unauthorized())
        }
    }
}

/// Everybody who is known is in `system:authenticated`.
pub fn with_authenticated(mut user: UserInfo) -> UserInfo {
    if user.name != ANONYMOUS && !user.in_group(AUTHENTICATED) {
        user.groups.push(AUTHENTICATED.into());
    }
    user
}
