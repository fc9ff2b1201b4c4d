//! What this machine is: read once at start.

use std::fs;
use std::io;
use std::path::Path;

/// Facts of the machine. What cannot be read is empty or 0.
#[derive(Clone, Debug, Default)]
pub struct MachineInfo {
    pub cpus: u64,
    /// Bytes.
    pub memory: u64,
    pub machine_id: String,
    pub system_uuid: String,
    pub boot_id: String,
    pub kernel_version: String,
    pub os_image: String,
    /// Go's name: `amd64`, `arm64`.
    pub architecture: String,
}

impl MachineInfo {
    pub fn read() -> io::Result<Self> {
        let line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        Ok(MachineInfo {
            cpus: std::thread::available_parallelism()?.get() as u64,
            memory: meminfo_bytes(&meminfo, "MemTotal").unwrap_or(0),
            machine_id: line("/etc/machine-id"),
            system_uuid: line("/sys/class/dmi/id/product_uuid"),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            kernel_version: line("/proc/sys/kernel/osrelease"),
            os_image: pretty_name(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
            architecture: architecture(std::env::consts::ARCH).to_owned(),
        })
    }
}

/// A line of /proc/meminfo.
pub fn meminfo_bytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn pretty_name(os_release: &str) -> String {
    let value = os_release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    value.unwrap_or("Unknown").trim_matches('"').to_owned()
}

fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// A filesystem's size and what is left, in bytes and files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filesystem {
    pub size: u64,
    pub available: u64,
    pub inodes: u64,
    pub inodes_free: u64,
}

pub fn filesystem(path: &Path) -> io::Result<Filesystem> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    let block = stat.fragment_size();
    Ok(Filesystem {
        size: stat.blocks() * block,
        available: stat.blocks_available() * block,
        inodes: stat.files(),
        inodes_free: stat.files_available(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        let meminfo = "MemTotal:       24689756 kB\nMemFree:  1 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(meminfo_bytes(meminfo, "MemTotal"), Some(24_689_756 * 1024));
        assert_eq!(meminfo_bytes(meminfo, "MemAvailable"), Some(20_000_000 * 1024));
        assert_eq!(meminfo_bytes(meminfo, "Swap"), None);
        let os = "NAME=\"x\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(pretty_name(os), "Debian GNU/Linux 12 (bookworm)");
        let info = MachineInfo::read().unwrap();
        assert!(info.cpus > 0 && info.memory > 0 && !info.kernel_version.is_empty());
    }
}
