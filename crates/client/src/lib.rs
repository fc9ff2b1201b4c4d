//! How every component reaches the API. Start at [`transport::Transport`], then [`api::Api`] and [`informer`].
//!
//! Never starts a server, never knows which Transport it has.

pub mod transport;
