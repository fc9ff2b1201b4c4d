//! Who is asking, and may they? Start at [`authn::Authentication`] and [`authz::Authorization`]; [`policy`] has the roles
//! and bindings that every cluster starts with.
//!
//! - [`authn`]: client certificates, service-account tokens (issued and checked), static tokens, nobody; TokenReview.
//! - [`authz`]: RBAC, the node authorizer; SubjectAccessReview and its family; escalation checks.
//! - [`answers`]: the kinds that are answered and never stored, as one table.
//!
//! Never reads the store: what it needs (roles, bindings, tokens' subjects) it sees through `client`.
//! Left out so far: bootstrap tokens, request headers of a front proxy, OIDC, webhooks.

pub mod answers;
pub mod authn;
pub mod authz;
mod feed;
pub mod policy;

pub use answers::Answers;
pub use authn::{Authentication, Authenticator, ServiceAccountTokens, UserInfo};
pub use authz::{Attributes, Authorization, Authorizer, Decision};
