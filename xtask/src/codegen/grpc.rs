//! Rust of the gRPC contracts that are written in the tree, made here so that no build needs protoc.

use std::path::Path;

use anyhow::{Context, Result};

/// What rustfmt and clippy shall not judge.
const HEAD: &str = "// Made by `cargo xtask codegen` from proto/etcd.proto. Do not edit.\n";

/// The messages and the client of `crates/storage/proto/etcd.proto`, as text.
pub fn etcd(cache: &Path) -> Result<String> {
    let proto = Path::new("crates/storage/proto/etcd.proto");
    let files = protox::compile([proto], ["crates/storage/proto"]).context("compile etcd.proto")?;
    let out = cache.join("etcd");
    std::fs::create_dir_all(&out)?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .bytes(".")
        .out_dir(&out)
        .compile_fds(files)
        .context("generate etcd's client")?;
    let made = out.join("etcdserverpb.rs");
    crate::sh::run("rustfmt", &["--edition", "2024", &made.to_string_lossy()])?;
    let text = std::fs::read_to_string(&made).with_context(|| format!("read {}", made.display()))?;
    Ok(format!("{HEAD}{text}"))
}
