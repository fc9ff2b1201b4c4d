//! What tests of several crates share. Start at [`FakeClock`].
//!
//! Never a dependency of production code.

pub mod clock;

pub use clock::FakeClock;
