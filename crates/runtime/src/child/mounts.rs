//! The pod's mounts: host paths inside the container.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail};
use cri::MountPropagation;
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;

use super::paths::{self, Kind};
use crate::spec::{Bind, ImageFiles};
use crate::sys::{self, MountAttr};

/// A host path as a mount that is not attached anywhere yet.
pub struct Source<'a> {
    bind: &'a Bind,
    mount: OwnedFd,
    kind: Kind,
}

/// Clones the mounts that the binds' sources are on, parents before what lies in them.
pub fn clone_sources(binds: &[Bind]) -> Result<Vec<Source<'_>>> {
    let mut sorted: Vec<&Bind> = binds.iter().filter(|b| b.image.is_none()).collect();
    sorted.sort_by_key(|bind| Path::new(&bind.target).components().count());
    sorted
        .into_iter()
        .map(|bind| {
            let what = || format!("mount {} to {}", bind.source.display(), bind.target);
            let kind = if std::fs::metadata(&bind.source).with_context(what)?.is_dir() {
                Kind::Directory
            } else {
                Kind::File
            };
            if bind.propagation == MountPropagation::Bidirectional {
                check_shared(&bind.source).with_context(what)?;
            }
            let mount = sys::open_tree(&bind.source, true).with_context(what)?;
            Ok(Source { bind, mount, kind })
        })
        .collect()
}

/// Mounts the images' files, each for a moment over `at`, in our own mount namespace.
pub fn image_sources<'a>(
    binds: &'a [Bind],
    at: &Path,
    userns: Option<BorrowedFd<'_>>,
) -> Result<Vec<Source<'a>>> {
    let images = binds.iter().filter_map(|bind| Some((bind, bind.image.as_ref()?)));
    let source = |(bind, files): (&'a Bind, &ImageFiles)| -> Result<Source<'a>> {
        if let Some(userns) = userns {
            files.lowers.iter().try_for_each(|l| super::rootfs::map_layer(&bind.source.join(l), userns))?;
        }
        let (top, mounted) = match &files.lowers[..] {
            [] => bail!("the image has no layers"),
            // An overlay needs two.
            [only] => (bind.source.join(only), false),
            lowers => {
                nix::unistd::chdir(&bind.source).context("enter the layer directory")?;
                let options = format!("lowerdir={}", lowers.join(":"));
                mount(Some("overlay"), at, Some("overlay"), MsFlags::MS_RDONLY, Some(options.as_str()))
                    .with_context(|| format!("mount overlay ({options})"))?;
                (at.to_owned(), true)
            }
        };
        let found = part_of(&top, &files.sub_path);
        let done = found.and_then(|(fd, kind)| {
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            Ok(Source { bind, mount: sys::open_tree(Path::new(&path), false)?, kind })
        });
        if mounted {
            umount2(at, MntFlags::MNT_DETACH).context("unmount the image again")?;
        }
        done
    };
    images.map(|i| source(i).with_context(|| format!("mount an image to {}", i.0.target))).collect()
}

fn part_of(top: &Path, sub_path: &str) -> Result<(OwnedFd, Kind)> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = nix::fcntl::open(top, flags, Mode::empty()).context("open the image's root")?;
    if sub_path.is_empty() {
        return Ok((root, Kind::Directory));
    }
    let found = paths::open_in(root.as_fd(), Path::new(sub_path)).with_context(|| sub_path.to_owned())?;
    let mode = nix::sys::stat::fstat(&found)?.st_mode;
    let kind = if mode & libc::S_IFMT == libc::S_IFDIR { Kind::Directory } else { Kind::File };
    Ok((found, kind))
}

/// What is mounted in the container can only reach the host through a shared mount.
fn check_shared(source: &Path) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").context("read mounts")?;
    let source = source.canonicalize()?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let containing = fields.filter(|f| f.len() > 6 && source.starts_with(f[4]));
    // Of mounts on one directory the last is on top.
    let Some(mount) = containing.max_by_key(|f| Path::new(f[4]).components().count()) else { return Ok(()) };
    let shared = mount[6..].iter().take_while(|f| **f != "-").any(|f| f.starts_with("shared:"));
    if !shared {
        bail!("path {} is mounted on {} but it is not a shared mount", source.display(), mount[4]);
    }
    Ok(())
}

/// Attaches them below the container's root.
pub fn attach(root: BorrowedFd<'_>, sources: Vec<Source<'_>>, userns: Option<BorrowedFd<'_>>) -> Result<()> {
    for Source { bind, mount, kind } in sources {
        let what = || format!("mount {} to {}", bind.source.display(), bind.target);
        let propagation = match bind.propagation {
            MountPropagation::Private => libc::MS_PRIVATE,
            MountPropagation::HostToContainer => libc::MS_SLAVE,
            MountPropagation::Bidirectional => 0,
        };
        if propagation != 0 {
            let attr = MountAttr { propagation, recursive: true, ..Default::default() };
            sys::mount_setattr(mount.as_fd(), attr).with_context(what)?;
        }
        // Images' layers are mapped already.
        if userns.is_some() && bind.image.is_none() {
            let attr = MountAttr { userns, recursive: true, ..Default::default() };
            sys::mount_setattr(mount.as_fd(), attr).with_context(what).context("map ids")?;
        }
        if bind.readonly {
            let set = sys::MOUNT_ATTR_RDONLY;
            let attr = MountAttr { set, recursive: bind.recursive_readonly, ..Default::default() };
            sys::mount_setattr(mount.as_fd(), attr).with_context(what)?;
        }
        let target = paths::create_in(root, Path::new(&bind.target), kind).with_context(what)?;
        sys::move_mount(mount.as_fd(), target.as_fd()).with_context(what)?;
    }
    Ok(())
}
