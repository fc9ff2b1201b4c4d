//! Which Kubernetes we are.

pub const MAJOR: &str = "1";
pub const MINOR: &str = "37";
pub const GIT_VERSION: &str = concat!("v1.37.0+knarr.", env!("CARGO_PKG_VERSION"));
/// Set by the release build; unknown otherwise.
pub const GIT_COMMIT: &str = match option_env!("KNARR_GIT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
pub const BUILD_DATE: &str = match option_env!("KNARR_BUILD_DATE") {
    Some(date) => date,
    None => "1970-01-01T00:00:00Z",
};

/// As Go names it: `linux/amd64`.
pub fn platform() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}/{arch}", std::env::consts::OS)
}
