//! Images from files: what `docker save` writes, and OCI layouts in a tar.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tar::EntryType;

use super::config::{ImageConfig, architecture};
use super::layers::chain_ids;
use super::reference::Reference;
use super::store::{ImageRecord, Store, digest};
use crate::program::Program;

/// Loads every image of the archive at `path`; all of them or none. Blocks. Returns their names, or ids for those
/// without one.
pub(crate) fn load(store: &Store, program: &Program, path: &Path) -> Result<Vec<String>> {
    let result = Archive::open(path).and_then(|archive| {
        let images = archive.images()?;
        if images.is_empty() {
            bail!("it contains no image");
        }
        let records: Vec<ImageRecord> =
            images.iter().map(|image| archive.unpack(store, program, image)).collect::<Result<_>>()?;
        let names = records.iter().flat_map(names).collect();
        records.into_iter().try_for_each(|record| store.add(record))?;
        Ok(names)
    });
    result.with_context(|| format!("load image archive {}", path.display()))
}

fn names(record: &ImageRecord) -> Vec<String> {
    if record.tags.is_empty() { vec![record.id.clone()] } else { record.tags.iter().cloned().collect() }
}

/// Where each file of a tar lies in it.
struct Archive {
    file: File,
    entries: BTreeMap<String, Place>,
}

#[derive(Clone, Debug)]
enum Place {
    At { offset: u64, size: u64 },
    LinkTo(String),
}

/// One image of an archive: its configuration and its layers, by name in the archive.
struct Found {
    config: String,
    layers: Vec<String>,
    tags: BTreeSet<String>,
}

/// Descriptions are small; a longer one is not one.
const MAX_DOCUMENT: u64 = 8 << 20;

impl Archive {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut entries = BTreeMap::new();
        let mut tar = tar::Archive::new(BufReader::new(&file));
        for entry in tar.entries_with_seek().context("it is not a tar archive")? {
            let entry = entry.context("it is not a tar archive, or a damaged one")?;
            let name = normal(&String::from_utf8_lossy(&entry.path_bytes()));
            let place = match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    Place::At { offset: entry.raw_file_position(), size: entry.size() }
                }
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    Place::LinkTo(link_target(&name, &target, entry.header().entry_type()))
                }
                _ => continue,
            };
            if let Place::At { offset, size } = place
                && offset.saturating_add(size) > length
            {
                bail!("it is cut off: {name} is not whole");
            }
            entries.insert(name, place);
        }
        drop(tar);
        Ok(Archive { file, entries })
    }

    /// A file of the archive, to be read from its beginning.
    fn read(&self, name: &str) -> Result<std::io::Take<File>> {
        let mut name = normal(name);
        // `docker save` links equal layers to each other, one step deep; a circle ends as well.
        for _ in 0..8 {
            match self.entries.get(&name) {
                Some(Place::At { offset, size }) => {
                    // Its own position: handles of one open file share theirs.
                    let mut file = File::open(format!("/proc/self/fd/{}", raw(&self.file)))?;
                    file.seek(SeekFrom::Start(*offset))?;
                    return Ok(file.take(*size));
                }
                Some(Place::LinkTo(target)) => name = target.clone(),
                None => bail!("{name} is missing in it"),
            }
        }
        bail!("{name} is a circle of links")
    }

    fn document(&self, name: &str) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        self.read(name)?.take(MAX_DOCUMENT).read_to_end(&mut text).with_context(|| format!("read {name}"))?;
        Ok(text)
    }

    fn json<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<T> {
        serde_json::from_slice(&self.document(name)?).with_context(|| format!("{name} is not valid"))
    }

    fn images(&self) -> Result<Vec<Found>> {
        if self.entries.contains_key("manifest.json") {
            return self.docker();
        }
        if self.entries.contains_key("index.json") {
            return self.layout();
        }
        bail!("it is no image archive: neither manifest.json nor index.json is in it")
    }

    fn docker(&self) -> Result<Vec<Found>> {
        let manifests: Vec<DockerManifest> = self.json("manifest.json")?;
        manifests
            .into_iter()
            .map(|m| {
                let tags = m.repo_tags.unwrap_or_default();
                let tags = tags.iter().filter_map(|t| full_name(t).transpose()).collect::<Result<_>>()?;
                Ok(Found { config: m.config, layers: m.layers, tags })
            })
            .collect()
    }

    fn layout(&self) -> Result<Vec<Found>> {
        let index: Index = self.json("index.json")?;
        index.manifests.iter().map(|d| self.descriptor(d, 0)).collect()
    }

    /// A manifest, or the one for this machine of an index.
    fn descriptor(&self, descriptor: &Descriptor, depth: u8) -> Result<Found> {
        let blob = blob_name(&descriptor.digest);
        let bytes = self.document(&blob)?;
        if digest(&bytes) != descriptor.digest {
            bail!("{blob} does not have the digest it is named by");
        }
        let manifest: Manifest =
            serde_json::from_slice(&bytes).with_context(|| format!("{blob} is not valid"))?;
        let mut found = match (manifest.config, manifest.manifests) {
            (Some(config), _) => Found {
                config: blob_name(&config.digest),
                layers: manifest.layers.iter().map(|l| blob_name(&l.digest)).collect(),
                tags: BTreeSet::new(),
            },
            (None, Some(inner)) if depth < 4 => {
                let ours = inner.iter().find(|d| d.platform.as_ref().is_none_or(Platform::is_ours));
                let ours = ours.with_context(|| format!("it has no image for linux/{}", architecture()))?;
                self.descriptor(ours, depth + 1)?
            }
            _ => bail!("{blob} is neither a manifest nor an index"),
        };
        let annotation = |name: &str| descriptor.annotations.get(name).filter(|n| n.contains([':', '/']));
        let name = annotation("io.containerd.image.name").or(annotation("org.opencontainers.image.ref.name"));
        if let Some(name) = name {
            found.tags.extend(full_name(name)?);
        }
        Ok(found)
    }

    fn unpack(&self, store: &Store, program: &Program, image: &Found) -> Result<ImageRecord> {
        let bytes = self.document(&image.config)?;
        let config = ImageConfig::parse(&bytes)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != image.layers.len() {
            bail!("its configuration names {} layers, it has {}", diff_ids.len(), image.layers.len());
        }
        let mut layers = Vec::new();
        for ((chain_id, diff_id), name) in chain_ids(diff_ids).iter().zip(diff_ids).zip(&image.layers) {
            let archive = self.read(name)?;
            let layer = store.layers.unpack(program, &layers, chain_id, diff_id, archive);
            layers.push(layer.with_context(|| format!("unpack {name}"))?);
        }
        Ok(ImageRecord {
            id: digest(&bytes),
            tags: image.tags.clone(),
            digests: BTreeSet::new(),
            layers,
            config,
        })
    }
}

/// The full name; nothing for a reference without a tag.
fn full_name(name: &str) -> Result<Option<String>> {
    Ok(Reference::parse(name)?.tagged())
}

fn raw(file: &File) -> i32 {
    use std::os::fd::AsRawFd;
    file.as_raw_fd()
}

/// Names with and without a leading `./` are the same.
fn normal(name: &str) -> String {
    name.trim_start_matches("./").trim_start_matches('/').to_string()
}

fn link_target(name: &str, target: &str, kind: EntryType) -> String {
    if kind == EntryType::Link {
        return normal(target);
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "" | "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn blob_name(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
pub(super) struct Descriptor {
    pub digest: String,
    #[serde(default)]
    pub size: i64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub platform: Option<Platform>,
}

#[derive(Deserialize)]
pub(super) struct Platform {
    architecture: String,
    os: String,
}

impl Platform {
    pub fn is_ours(&self) -> bool {
        self.os == "linux" && self.architecture == architecture()
    }
}

/// A manifest (with `config`) or an index (with `manifests`).
#[derive(Deserialize)]
pub(super) struct Manifest {
    pub config: Option<Descriptor>,
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    pub manifests: Option<Vec<Descriptor>>,
}
