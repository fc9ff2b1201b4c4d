//! Who is asking, and may they? Start at [`authn::Authenticator`] and [`authz::Authorizer`].
//!
//! Never reads the store: what it needs (roles, bindings, tokens' subjects) it sees through `client`.

pub mod authn;
pub mod authz;

pub use authn::UserInfo;
pub use authz::{Attributes, Authorizer, Decision};
