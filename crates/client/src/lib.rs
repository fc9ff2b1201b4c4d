//! How every component reaches the API. Start at [`transport::Transport`], then [`api::Api`] and [`informer`].
//!
//! - [`transport`]: a request as values, a view as a trait. The API server implements it in process.
//! - [`api`]: typed calls. [`informer`]: typed reads from a live view. [`queue`]: rate-limited work queues and the loop that
//!   runs a controller. [`events`]: the event recorder. [`leader`]: leader election over a Lease.
//! - [`https`]: the API over the wire, kubeconfig files. [`wire`]: any request, for tools.
//!
//! Never starts a server, never knows which Transport it has.

pub mod api;
pub mod events;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod https;
pub mod informer;
pub mod leader;
pub mod list;
mod partial;
pub mod queue;
pub mod transport;
pub mod wire;

pub use api::{Api, DeleteOptions, Propagation};
pub use events::{EventRecorder, EventType};
pub use informer::Informer;
pub use queue::{Requeue, WorkQueue};
pub use transport::{Options, PatchType, Request, Transport, Verb, View, ViewScope, WatchEvent};
