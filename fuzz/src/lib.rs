//! Bad input for every decoder: no panic, and no more memory and time than the input is worth. Start at [`targets::TARGETS`];
//! [`run::run`] is the loop.
//!
//! The seeds of each target are the files in `corpus/TARGET`; what a run found goes there, too, once it is mended. They run as
//! a plain test (`tests/corpus.rs`), each with some mutations. `cargo xtask fuzz TARGET --seconds N` goes on for longer.
//!
//! Mutations are blind but for one thing: an input whose answer is of a new sort is mutated further.

pub mod meter;
pub mod mutate;
pub mod run;
pub mod targets;
