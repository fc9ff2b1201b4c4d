//! What std could have had. Start at [`clock::Clock`] and [`tasks::Tasks`].
//!
//! The only general helpers in the workspace. Never knows Kubernetes.

pub mod clock;
pub mod random;
pub mod tasks;

pub use clock::{Clock, SystemClock};
pub use random::Random;
pub use tasks::Tasks;
