//! Real containers, as root. The test binary is also what the runtime re-executes, hence a main of its own.

mod basics;
mod fixture;
mod images;
mod mounts;
mod security;
mod streams;
mod survival;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A test's name and what it does.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    if let Some(code) = runtime::early_main(std::env::args_os()) {
        return code;
    }
    let own: Vec<String> = std::env::args().skip(1).collect();
    if let [role, dir, cgroup_root] = &own[..]
        && role == survival::SERVER
    {
        survival::serve(dir.as_ref(), cgroup_root);
    }
    if own == [security::TRAP] {
        // Executed inside a container by its trap: long enough to be found.
        std::thread::sleep(std::time::Duration::from_secs(2));
        return ExitCode::SUCCESS;
    }
    // As the server does at its start.
    drop(rustls::crypto::ring::default_provider().install_default());
    let arguments = Arguments::from_args();
    let tests =
        [basics::TESTS, images::TESTS, mounts::TESTS, security::TESTS, streams::TESTS, survival::TESTS]
            .into_iter()
            .flatten();
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
