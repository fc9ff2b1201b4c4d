//! Pods. What a pod is asked by scheduler, kubelet, controllers and printers alike: [`PodExt`].

mod columns;
pub mod defaults;
mod label_keys;
pub mod methods;
pub mod ordering;
pub mod requests;
mod strategy;
pub mod validation;
pub mod warnings;

pub use columns::status_text;
pub use methods::{ContainerExt, PodExt, TolerationExt};
pub use strategy::Strategy;
