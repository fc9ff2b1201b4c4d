//! Unpacked layers: one directory each, shared by the images that have the same layers below it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::child::unpack::{UnpackSpec, Unpacked, hex};
use crate::files;
use crate::program::Program;

/// A layer's directory: small numbers, since overlayfs takes its layers' names in one page.
pub(crate) type LayerId = u64;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Info {
    chain_id: String,
    size: u64,
}

/// `<dir>/<number>/{fs,info.json}`. A directory without `info.json` was begun and not finished.
#[derive(Debug)]
pub(crate) struct Layers {
    dir: PathBuf,
    known: Mutex<BTreeMap<String, (LayerId, u64)>>,
    /// One unpacking at a time: layers of an image depend on each other, and images share them.
    unpacking: Mutex<()>,
}

impl Layers {
    /// Reads what is there and removes what is half done.
    pub fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let mut known = BTreeMap::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let id = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<LayerId>().ok());
            match (id, files::read_json::<Info>(&path.join("info.json"))) {
                (Some(id), Ok(Some(info))) => drop(known.insert(info.chain_id, (id, info.size))),
                _ => files::remove(&path)?,
            }
        }
        Ok(Layers { dir: dir.to_path_buf(), known: Mutex::new(known), unpacking: Mutex::new(()) })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What overlayfs calls a layer, relative to [`Layers::dir`].
    pub fn lower(id: LayerId) -> String {
        format!("{id}/fs")
    }

    pub fn size(&self, id: LayerId) -> u64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().find(|(known, _)| *known == id).map_or(0, |(_, size)| *size)
    }

    /// The layer on top of `parents`, if it is there.
    pub fn find(&self, chain_id: &str) -> Option<LayerId> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(chain_id).map(|(id, _)| *id)
    }

    /// Unpacks `archive` on top of `parents` (bottom first), unless that was done before. Blocks. On failure nothing is
    /// left behind.
    pub fn unpack(
        &self,
        program: &Program,
        parents: &[LayerId],
        chain_id: &str,
        diff_id: &str,
        archive: impl Read + Send,
    ) -> Result<LayerId> {
        let _one = self.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = self.find(chain_id) {
            return Ok(id);
        }
        let id = self.free_id()?;
        let dir = self.dir.join(id.to_string());
        let result = self.unpack_into(program, &dir, parents, diff_id, archive).and_then(|unpacked| {
            let info = Info { chain_id: chain_id.to_string(), size: unpacked.size };
            // The layer's files reach the disk before the mark that says they are whole.
            crate::sys::sync_file_system(&File::open(&dir)?)?;
            files::write_durably(&dir.join("info.json"), &serde_json::to_vec(&info)?)?;
            Ok(unpacked.size)
        });
        match result {
            Ok(size) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(chain_id.to_string(), (id, size));
                Ok(id)
            }
            Err(e) => {
                files::remove(&dir)?;
                Err(e)
            }
        }
    }

    fn free_id(&self) -> Result<LayerId> {
        let mut used = BTreeSet::new();
        for entry in fs::read_dir(&self.dir)? {
            used.extend(entry?.file_name().to_str().and_then(|n| n.parse::<LayerId>().ok()));
        }
        Ok(used.last().map_or(1, |last| last + 1))
    }

    fn unpack_into(
        &self,
        program: &Program,
        dir: &Path,
        parents: &[LayerId],
        diff_id: &str,
        mut archive: impl Read + Send,
    ) -> Result<Unpacked> {
        let (upper, work, merged) = (dir.join("fs"), dir.join("work"), dir.join("merged"));
        for new in [&upper, &work, &merged] {
            fs::create_dir_all(new)?;
        }
        let lowers = parents.iter().rev().map(|id| Self::lower(*id)).collect();
        let spec = UnpackSpec {
            layers: self.dir.clone(),
            lowers,
            upper,
            work: work.clone(),
            merged: merged.clone(),
            diff_id: diff_id.to_string(),
        };
        let mut child = program
            .command("unpack")
            .arg(serde_json::to_string(&spec)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start unpacking")?;
        let mut stdin = child.stdin.take().context("child has no stdin")?;
        // A child that gives up closes its end; its own message then says more than our broken pipe.
        let copied = io::copy(&mut archive, &mut stdin).and_then(|_| stdin.flush());
        drop(stdin);
        let output = child.wait_with_output().context("wait for unpacking")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        copied.context("read layer")?;
        fs::remove_dir_all(work)?;
        fs::remove_dir_all(merged)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Removes layers that are not in `keep`.
    pub fn collect(&self, keep: &BTreeSet<LayerId>) -> Result<()> {
        let _one = self.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let dead: Vec<(String, LayerId)> = known
            .iter()
            .filter(|(_, (id, _))| !keep.contains(id))
            .map(|(c, (id, _))| (c.clone(), *id))
            .collect();
        for (chain_id, id) in dead {
            known.remove(&chain_id);
            // The mark goes first: what cannot be removed to its end is not a layer any more.
            let dir = self.dir.join(id.to_string());
            files::remove(&dir.join("info.json"))?;
            files::remove(&dir)?;
        }
        Ok(())
    }
}

/// OCI's chain ids: a layer together with everything below it, for each layer from the bottom up.
pub(crate) fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::new();
    for diff_id in diff_ids {
        let id = match chain.last() {
            None => diff_id.clone(),
            Some(below) => format!("sha256:{}", hex(&Sha256::digest(format!("{below} {diff_id}")))),
        };
        chain.push(id);
    }
    chain
}
