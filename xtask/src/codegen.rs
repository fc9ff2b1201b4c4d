//! `cargo xtask codegen`: the tables of `crates/facts`, from the JSON schemas in the PyPI package kubernetes-validate and
//! the protobuf field numbers in the crate k8s-pb; and etcd's client, from a contract in the tree. Start at [`run`].
//!
//! Names and numbers only: descriptions are prose, and prose is not taken.

mod grpc;
mod protobuf;
mod render;
mod schema;
mod sources;

use std::path::Path;

use anyhow::{Context, Result, bail};

/// To be run in the workspace's root. Writes the tables, or with `check` fails when they differ from what is committed. Prints how many fields have no
/// protobuf number; `crates/facts/json-only.txt` names them.
pub fn run(check: bool) -> Result<()> {
    let cache = std::path::absolute("target/codegen")?;
    let messages = protobuf::Messages::read(&sources::k8s_pb(&cache)?)?;
    let mut model = schema::Model::read(&sources::json_schemas(&cache)?)?;
    let missing = model.number(&messages);

    let facts = Path::new("crates/facts");
    put(&facts.join("src/tables.rs"), &render::tables(&model)?, check)?;
    put(&facts.join("json-only.txt"), &render::json_only(&missing), check)?;
    put(Path::new("crates/storage/src/etcd/rpc.rs"), &grpc::etcd(&cache)?, check)?;
    let types = model.types.len();
    println!(
        "{types} types, {} kinds, {} fields without a protobuf number",
        model.kinds.len(),
        missing.len()
    );
    Ok(())
}

fn put(path: &Path, text: &str, check: bool) -> Result<()> {
    if check {
        let old = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        if old != text {
            bail!("{} is not what `cargo xtask codegen` writes", path.display());
        }
        return Ok(());
    }
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
