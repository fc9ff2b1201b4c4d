//! The API server over real TLS on the memory engine: what clients may send, and what they are told.

mod apply;
mod attacks;
mod bad_input;
mod batch;
mod concurrency;
mod eviction;
mod flow;
mod lifecycle;
mod local;
mod protobuf;
mod proxy;
mod reading;
mod server;
mod services;
