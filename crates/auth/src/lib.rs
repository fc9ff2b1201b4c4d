//! Who is asking, and may they? Start at [`authn::Authentication`] and [`authz::Authorization`]; [`policy`] has the roles
//! and bindings that every cluster starts with.
//!
//! - [`authn`]: client certificates, service-account tokens (issued and checked), bootstrap and static tokens, nobody;
//!   TokenReview; [`authn::delegated`] asks an API server (for a kubelet alone).
//! - [`authz`]: RBAC, the node authorizer; SubjectAccessReview and its family; escalation checks; [`authz::delegated`].
//! - [`answers`]: the kinds that are answered and never stored, as one table.
//!
//! Never reads the store: what it needs (roles, bindings, tokens' subjects) it sees through `client`.
//! Left out so far: request headers of a front proxy, OIDC, webhooks, tokens in secrets.

pub mod answers;
pub mod authn;
pub mod authz;
pub mod certificates;
mod feed;
pub mod policy;

pub use answers::Answers;
pub use authn::{Authentication, Authenticator, ServiceAccountTokens, UserInfo};
pub use authz::{Attributes, Authorization, Authorizer, Decision};
