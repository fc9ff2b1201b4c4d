//! From a pod to what the runtime is told: pure translations, a room for each part.

pub mod container;
pub mod dns;
pub mod env;
pub mod expand;
pub mod hosts;
pub mod resources;
pub mod sandbox;
pub mod security;
pub mod services;

/// The pod's spec asks for something that cannot be given; becomes `CreateContainerConfigError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    pub fn new(message: impl Into<String>) -> Self {
        ConfigError(message.into())
    }
}

#[cfg(test)]
mod tests;
