//! Test images, built from Debian's packages in seconds: no registry is needed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::sh;

/// Builds every image into `out`, unless it is there already.
pub fn build(out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    for (name, make) in IMAGES {
        let path = out.join(format!("{name}.tar"));
        if path.exists() {
            continue;
        }
        let image = make().with_context(|| format!("build image {name}"))?;
        let partial = path.with_extension("part");
        image.write_archive(&partial)?;
        fs::rename(&partial, &path)?;
        eprintln!("built {}", path.display());
    }
    Ok(())
}

const IMAGES: &[(&str, fn() -> Result<Image>)] = &[("busybox", busybox), ("nginx", nginx)];

/// One layer and its configuration.
struct Image {
    tags: &'static [&'static str],
    /// By path without the leading slash; parents are made as needed.
    files: BTreeMap<String, Entry>,
    config: serde_json::Value,
}

enum Entry {
    File { data: Vec<u8>, mode: u32 },
    Link(String),
    Dir { mode: u32 },
}

impl Image {
    fn new(tags: &'static [&'static str], config: serde_json::Value) -> Self {
        let mut image = Image { tags, files: BTreeMap::new(), config };
        image.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n");
        image.text("etc/group", "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n");
        image.dir("tmp", 0o1777);
        image.dir("root", 0o700);
        image
    }

    fn text(&mut self, path: &str, text: &str) {
        self.files.insert(path.into(), Entry::File { data: text.as_bytes().to_vec(), mode: 0o644 });
    }

    fn dir(&mut self, path: &str, mode: u32) {
        self.files.insert(path.into(), Entry::Dir { mode });
    }

    fn link(&mut self, path: &str, to: &str) {
        self.files.insert(path.into(), Entry::Link(to.into()));
    }

    fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        let data = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        self.files.insert(path.into(), Entry::File { data, mode: 0o755 });
        Ok(())
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut made: Vec<PathBuf> = Vec::new();
        for (path, entry) in &self.files {
            let parents: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
            for parent in parents.into_iter().rev().filter(|p| !p.as_os_str().is_empty()) {
                if !made.iter().any(|m| m == parent)
                    && !matches!(self.files.get(&*parent.to_string_lossy()), Some(Entry::Dir { .. }))
                {
                    append(&mut tar, parent, &Entry::Dir { mode: 0o755 })?;
                }
                made.push(parent.to_owned());
            }
            append(&mut tar, Path::new(path), entry)?;
        }
        Ok(tar.into_inner()?)
    }

    /// In the format of `docker save`.
    fn write_archive(&self, path: &Path) -> Result<()> {
        let layer = self.layer()?;
        let config = serde_json::to_vec(&json!({
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))] },
            "history": [{ "created": "2026-01-01T00:00:00Z", "created_by": "cargo xtask images" }],
        }))?;
        let (config_name, layer_name) =
            (format!("{}.json", hex(&config)), format!("{}/layer.tar", hex(&layer)));
        let manifest = serde_json::to_vec(
            &json!([{ "Config": config_name, "RepoTags": self.tags, "Layers": [layer_name] }]),
        )?;
        let mut tar = tar::Builder::new(fs::File::create(path)?);
        for (name, data) in [(config_name, config), (layer_name, layer), ("manifest.json".into(), manifest)] {
            append(&mut tar, Path::new(&name), &Entry::File { data, mode: 0o644 })?;
        }
        tar.into_inner()?.flush()?;
        Ok(())
    }
}

fn append<W: Write>(tar: &mut tar::Builder<W>, path: &Path, entry: &Entry) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(1_767_225_600);
    header.set_uid(0);
    header.set_gid(0);
    match entry {
        Entry::File { data, mode } => {
            header.set_size(data.len() as u64);
            header.set_mode(*mode);
            tar.append_data(&mut header, path, &data[..])?;
        }
        Entry::Link(to) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            tar.append_link(&mut header, path, to)?;
        }
        Entry::Dir { mode } => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            header.set_mode(*mode);
            tar.append_data(&mut header, path, std::io::empty())?;
        }
    }
    Ok(())
}

fn hex(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect()
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn busybox() -> Result<Image> {
    let unpacked = unpack("busybox", &["busybox-static"])?;
    let mut image = Image::new(&["busybox:latest", "busybox:1.35"], json!({ "Env": [PATH], "Cmd": ["sh"] }));
    let program = unpacked.join("bin/busybox");
    image.program("bin/busybox", &program)?;
    for applet in sh::output(&program.to_string_lossy(), &["--list"])?.lines().filter(|a| *a != "busybox") {
        image.link(&format!("bin/{applet}"), "busybox");
    }
    image.link("usr/bin", "../bin");
    Ok(image)
}

const NGINX_CONF: &str = "\
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 512; }
http {
    types { text/html html; text/css css; application/javascript js; }
    log_format main '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" \"$http_x_forwarded_for\"';
    access_log /dev/stdout main;
    sendfile on;
    server { listen 80; listen [::]:80; root /usr/share/nginx/html; index index.html; }
}
";

fn nginx() -> Result<Image> {
    let unpacked = unpack(
        "nginx",
        &[
            "nginx",
            "nginx-common",
            "libc6",
            "libpcre2-8-0",
            "libssl3",
            "zlib1g",
            "libcrypt1",
            "bash",
            "libtinfo6",
            "coreutils",
            "libselinux1",
            "libacl1",
            "libattr1",
            "libgmp10",
        ],
    )?;
    let mut image = Image::new(
        &["nginx:latest", "nginx:1.22"],
        json!({
            "Env": [PATH, "NGINX_VERSION=1.22.1"],
            "Cmd": ["nginx", "-g", "daemon off;"],
            "ExposedPorts": { "80/tcp": {} },
            "StopSignal": "SIGQUIT",
        }),
    );
    let mut wanted = vec!["usr/sbin/nginx".to_owned(), "bin/bash".to_owned()];
    for tool in ["ls", "cat", "sleep", "uname", "id", "date", "env"] {
        let path =
            ["bin", "usr/bin"].map(|d| format!("{d}/{tool}")).into_iter().find(|p| unpacked.join(p).exists());
        wanted.extend(path);
    }
    for path in &wanted {
        image.program(path, &unpacked.join(path))?;
    }
    for library in closure(&unpacked, &wanted)? {
        image.program(&format!("lib/x86_64-linux-gnu/{library}"), &find_library(&unpacked, &library)?)?;
    }
    let loader = find_library(&unpacked, "ld-linux-x86-64.so.2")?;
    image.program("lib64/ld-linux-x86-64.so.2", &loader)?;
    image.link("bin/sh", "bash");
    image.text("etc/nginx/nginx.conf", NGINX_CONF);
    image.text(
        "usr/share/nginx/html/index.html",
        &fs::read_to_string(unpacked.join("usr/share/nginx/html/index.html"))?,
    );
    image.dir("var/lib/nginx", 0o755);
    image.dir("var/log/nginx", 0o755);
    image.dir("run", 0o755);
    Ok(image)
}

/// Names of the shared libraries that the programs need, with what these need.
fn closure(unpacked: &Path, programs: &[String]) -> Result<Vec<String>> {
    let mut queue: Vec<PathBuf> = programs.iter().map(|p| unpacked.join(p)).collect();
    let mut found: Vec<String> = Vec::new();
    while let Some(file) = queue.pop() {
        let dynamic = sh::output("readelf", &["-d", &file.to_string_lossy()])?;
        for line in dynamic.lines().filter(|l| l.contains("(NEEDED)")) {
            let Some(name) = line.split(['[', ']']).nth(1) else { continue };
            if name.starts_with("ld-linux") || found.iter().any(|f| f == name) {
                continue;
            }
            found.push(name.to_owned());
            queue.push(find_library(unpacked, name)?);
        }
    }
    Ok(found)
}

fn find_library(unpacked: &Path, name: &str) -> Result<PathBuf> {
    for dir in ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"] {
        let path = unpacked.join(dir).join(name);
        if path.exists() {
            return Ok(path);
        }
    }
    bail!("no package has {name}")
}

/// Downloads Debian packages and unpacks them into one folder below target/.
fn unpack(image: &str, packages: &[&str]) -> Result<PathBuf> {
    let dir = sh::root().join("target/images").join(format!("{image}.root"));
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    let debs = dir.join("debs");
    fs::create_dir_all(&debs)?;
    let script = format!(
        "cd '{}' && apt-get -qq -o APT::Sandbox::User=root download {}",
        debs.display(),
        packages.join(" ")
    );
    sh::run("sh", &["-c", &script])?;
    for deb in fs::read_dir(&debs)? {
        sh::output("dpkg-deb", &["-x", &deb?.path().to_string_lossy(), &dir.to_string_lossy()])?;
    }
    Ok(dir)
}
