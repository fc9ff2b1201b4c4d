//! Real containers, as root. The test binary is also what the runtime re-executes, hence a main of its own.

mod basics;
mod fixture;
mod security;
mod streams;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A test's name and what it does.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    if let Some(code) = runtime::early_main(std::env::args_os()) {
        return code;
    }
    let arguments = Arguments::from_args();
    let tests = [basics::TESTS, security::TESTS, streams::TESTS].into_iter().flatten();
    let trials = tests
        .map(|(name, test)| {
            Trial::test(*name, move || {
                test();
                Ok(())
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
