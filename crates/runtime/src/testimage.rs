//! Tiny images for tests, made on the spot: busybox and nothing else.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::image::store::digest;

/// Where Debian's busybox-static puts it.
pub const BUSYBOX: &str = "/bin/busybox";

/// Commands that are links to busybox in the image.
const APPLETS: &[&str] = &[
    "cat", "chmod", "chown", "cp", "date", "dd", "echo", "env", "false", "grep", "head", "hostname", "httpd",
    "id", "kill", "ln", "ls", "mkdir", "mknod", "mount", "mv", "nc", "nproc", "nslookup", "pidof", "ping",
    "printf", "ps", "pwd", "readlink", "rm", "sed", "seq", "sh", "sleep", "stat", "stty", "su", "sync",
    "tail", "tee", "test", "timeout", "top", "touch", "tr", "true", "tty", "umount", "uname", "unshare",
    "wc", "wget", "whoami", "yes",
];

/// An image as its parts.
#[derive(Clone, Debug)]
pub struct TestImage {
    pub config: Vec<u8>,
    /// Bottom first; tars, compressed or not.
    pub layers: Vec<Vec<u8>>,
}

/// An image with busybox, its applets, a few users, and what `config` (OCI's `config` object) says.
pub fn busybox(config: serde_json::Value) -> Result<TestImage> {
    let mut tar = tar::Builder::new(Vec::new());
    for dir in ["bin/", "etc/", "tmp/", "root/", "proc/", "sys/", "dev/", "var/", "home/", "usr/", "usr/bin/"]
    {
        let mode = if dir == "tmp/" { 0o1777 } else { 0o755 };
        add(&mut tar, dir, tar::EntryType::Directory, mode, &[])?;
    }
    let binary =
        std::fs::read(BUSYBOX).with_context(|| format!("read {BUSYBOX} (package busybox-static)"))?;
    add(&mut tar, "bin/busybox", tar::EntryType::Regular, 0o755, &binary)?;
    for applet in APPLETS {
        let mut header = header(tar::EntryType::Symlink, 0o777, 0);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    add(&mut tar, "bin/suid", tar::EntryType::Regular, 0o4755, &effective_user())?;
    let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/home:/bin/sh\n";
    add(&mut tar, "etc/passwd", tar::EntryType::Regular, 0o644, passwd.as_bytes())?;
    add(&mut tar, "etc/group", tar::EntryType::Regular, 0o644, b"root:x:0:\nwww:x:34:\nlog:x:4:web\n")?;
    image(vec![tar.into_inner()?], config)
}

/// An image of these layers, bottom first, each an uncompressed tar.
pub fn image(layers: Vec<Vec<u8>>, config: serde_json::Value) -> Result<TestImage> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let config = json!({
        "architecture": crate::image::config::architecture(),
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": [{ "created_by": "knarr test image" }],
    });
    Ok(TestImage { config: serde_json::to_vec(&config)?, layers })
}

/// A program that ends with its effective user's number as exit code, to see setuid at work: busybox itself gives such
/// rights up at once.
fn effective_user() -> Vec<u8> {
    /// geteuid, then exit with its result.
    const CODE: &[u8] = if cfg!(target_arch = "aarch64") {
        &[0xe8, 0x15, 0x80, 0xd2, 1, 0, 0, 0xd4, 0xa8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4]
    } else {
        &[0xb8, 107, 0, 0, 0, 0x0f, 0x05, 0x89, 0xc7, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]
    };
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // Executable, machine, version; entry point, program header at 64, no sections; sizes and counts.
    elf.extend([2u16, machine].map(u16::to_le_bytes).concat());
    elf.extend(1u32.to_le_bytes());
    elf.extend([BASE + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0u32.to_le_bytes());
    elf.extend([64u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // One segment to load: readable and executable, the whole file.
    let size = HEADERS + CODE.len() as u64;
    elf.extend([1u32, 5].map(u32::to_le_bytes).concat());
    elf.extend([0, BASE, BASE, size, size, 0x1000].map(u64::to_le_bytes).concat());
    elf.extend(CODE);
    elf
}

/// Writes `image` as `docker save` would, under `names`.
pub fn docker_archive(image: &TestImage, names: &[&str], out: impl Write) -> Result<()> {
    let mut tar = tar::Builder::new(out);
    let config = format!("{}.json", digest(&image.config).trim_start_matches("sha256:"));
    let paths: Vec<String> = (0..image.layers.len()).map(|n| format!("layer{n}/layer.tar")).collect();
    let manifest = json!([{ "Config": config, "RepoTags": names, "Layers": paths }]);
    add(&mut tar, &config, tar::EntryType::Regular, 0o644, &image.config)?;
    for (path, layer) in paths.iter().zip(&image.layers) {
        add(&mut tar, path, tar::EntryType::Regular, 0o644, layer)?;
    }
    add(&mut tar, "manifest.json", tar::EntryType::Regular, 0o644, &serde_json::to_vec(&manifest)?)?;
    tar.into_inner()?.flush()?;
    Ok(())
}

/// Writes an archive with a busybox image called `name` (and running `sh` by default) to `path`.
pub fn busybox_archive(path: &Path, name: &str) -> Result<()> {
    let image = busybox(json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"] }))?;
    let file = std::fs::File::create(path).with_context(|| format!("create {}", path.display()))?;
    docker_archive(&image, &[name], io::BufWriter::new(file))
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header
}

fn add<W: Write>(
    tar: &mut tar::Builder<W>,
    path: &str,
    kind: tar::EntryType,
    mode: u32,
    data: &[u8],
) -> io::Result<()> {
    tar.append_data(&mut header(kind, mode, data.len() as u64), path, data)
}
