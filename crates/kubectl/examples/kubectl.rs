//! kubectl alone, for quick trials: `cargo build -p kubectl --example kubectl`.

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    std::process::ExitCode::from(kubectl::main(&args))
}
