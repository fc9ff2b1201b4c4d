//! Sources of volumes from the days before CSI. Pods and persistent volumes have them in types of their own that are alike
//! in their fields: hence a macro, since no trait joins them. Their required fields are checked, their values left to
//! drivers that do not exist.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;

use crate::check::{each, required};

/// Whether a required field holds anything.
pub(crate) trait Given {
    fn given(&self) -> bool;
}

impl Given for String {
    fn given(&self) -> bool {
        !self.is_empty()
    }
}

impl Given for Vec<String> {
    fn given(&self) -> bool {
        !self.is_empty()
    }
}

impl<T: Given> Given for Option<T> {
    fn given(&self) -> bool {
        self.as_ref().is_some_and(T::given)
    }
}

/// A directory of a file server.
pub(crate) fn nfs_errors(server: &str, directory: &str, path: &Path) -> ErrorList {
    let mut errs = required(&path.child("server"), server);
    let at = path.child("path");
    errs.extend(required(&at, directory));
    if !directory.is_empty() {
        errs.extend(each(&at, directory, names::absolute_path(directory)));
    }
    errs
}

/// An error for each field that is not given.
pub(crate) fn missing(needed: &[(&str, bool)], path: &Path) -> ErrorList {
    let missing = needed.iter().filter(|(_, given)| !given);
    missing.map(|(name, _)| Error::required(&path.child(name), "")).collect()
}

/// Adds to `$found` each source that is given, by the rows `field "its name": "required field" = fields of which one will do`.
macro_rules! needs {
    ($found:ident, $volume:ident, $path:ident; $($field:ident $name:literal: $($needed:literal = $($of:ident)|+),+;)*) => {
        $(if let Some(source) = &$volume.$field {
            let needed = [$(($needed, $(source.$of.given())||+)),+];
            $found.push(($name, missing(&needed, &$path.child($name))));
        })*
    };
}

/// The older sources that a volume, a pod's or a persistent one, has, each with what is wrong with it.
macro_rules! older {
    ($volume:expr, $path:expr) => {{
        use $crate::core::storage::older::{Given, missing, needs, nfs_errors};
        use $crate::core::storage::{Iscsi, iscsi_errors};
        let (volume, path) = (&$volume, &$path);
        let mut found: Vec<(&'static str, apimachinery::field::ErrorList)> = Vec::new();
        if let Some(nfs) = &volume.nfs {
            found.push(("nfs", nfs_errors(&nfs.server, &nfs.path, &path.child("nfs"))));
        }
        if let Some(s) = &volume.iscsi {
            let chap = s.chap_auth_discovery == Some(true) || s.chap_auth_session == Some(true);
            let volume = Iscsi {
                portal: &s.target_portal,
                iqn: &s.iqn,
                lun: s.lun,
                initiator: s.initiator_name.as_deref(),
                lacks_secret: chap && s.secret_ref.is_none(),
            };
            found.push(("iscsi", iscsi_errors(&volume, &path.child("iscsi"))));
        }
        needs! { found, volume, path;
            gce_persistent_disk "gcePersistentDisk": "pdName" = pd_name;
            aws_elastic_block_store "awsElasticBlockStore": "volumeID" = volume_id;
            glusterfs "glusterfs": "endpoints" = endpoints, "path" = path;
            flocker "flocker": "datasetName" = dataset_name | dataset_uuid;
            rbd "rbd": "monitors" = monitors, "image" = image;
            cinder "cinder": "volumeID" = volume_id;
            cephfs "cephfs": "monitors" = monitors;
            quobyte "quobyte": "registry" = registry, "volume" = volume;
            fc "fc": "targetWWNs" = target_wwns | wwids;
            flex_volume "flexVolume": "driver" = driver;
            azure_file "azureFile": "secretName" = secret_name, "shareName" = share_name;
            vsphere_volume "vsphereVolume": "volumePath" = volume_path;
            photon_persistent_disk "photonPersistentDisk": "pdID" = pd_id;
            portworx_volume "portworxVolume": "volumeID" = volume_id;
            azure_disk "azureDisk": "diskName" = disk_name, "diskURI" = disk_uri;
            storageos "storageos": "volumeName" = volume_name;
            scale_io "scaleIO": "gateway" = gateway, "system" = system;
        }
        found
    }};
}

pub(crate) use {needs, older};
