//! Images: references, the store on disk, archives, registries. Start at [`store::Store`].

pub(crate) mod archive;
pub(crate) mod config;
mod endpoints;
pub(crate) mod layers;
pub(crate) mod pull;
pub(crate) mod reference;
pub(crate) mod store;
