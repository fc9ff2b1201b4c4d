//! CronJobs: a Job at every time that a schedule names. Start at [`plan::plan`] (what is due) and [`times`] (what was
//! missed), both pure; then [`engine`], which does it and sleeps until the next time.

mod engine;
mod plan;
#[cfg(test)]
mod tests;
mod times;

pub use engine::start;
