//! Debian's docker-registry, on loopback of a test's machine.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Host, eventually, run};

/// "secret", hashed by bcrypt.
const USERS: &str = "user:$2b$04$D7QajndeUQNO.FrWfyGEvOyOCxjoqfV67QG50ZYgv01lIu3z7rv/y\n";

/// A registry that wants `user` with the password `secret`.
pub struct Registry {
    child: Child,
    /// Where it keeps what was pushed.
    storage: PathBuf,
}

impl Registry {
    /// On `127.0.0.1:port` of the machine, with its files in `dir`.
    pub fn start(host: &Host, dir: &Path, port: u16) -> Registry {
        let dir = dir.join(format!("registry-{port}"));
        let (storage, users, config) = (dir.join("storage"), dir.join("users"), dir.join("config.yml"));
        fs::create_dir_all(&storage).expect("make the registry's directory");
        fs::write(&users, USERS).expect("write users");
        let text = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": storage } },
            "http": { "addr": format!("127.0.0.1:{port}") },
            "auth": { "htpasswd": { "realm": "test", "path": users } },
        });
        fs::write(&config, text.to_string()).expect("write the registry's configuration");
        let mut command = host.command(Path::new("docker-registry"));
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Registry { child: command.spawn().expect("start docker-registry"), storage };
        eventually(Duration::from_secs(60), "the registry listens", || {
            let mut probe = host.command(Path::new("busybox"));
            run(probe.args(["nc", "-w", "5", "127.0.0.1", &port.to_string()])).code == 0
        });
        registry
    }

    /// Puts the image of an archive (`docker save`) there, as if pushed: a registry's files are its state.
    pub fn add(&self, archive: &Path, repository: &str, tag: &str) {
        let files = unpack(archive);
        let file = |name: &str| {
            let found = files.iter().find(|(path, _)| path == name);
            found.map(|(_, data)| data.as_slice()).expect("what the manifest names is in the archive")
        };
        let manifest: Value = serde_json::from_slice(file("manifest.json")).expect("a manifest");
        let part = |name: &Value, kind: &str| {
            let data = file(name.as_str().expect("a name"));
            let digest = self.blob(data);
            self.link(&format!("{repository}/_layers/sha256/{digest}"), &digest);
            json!({ "mediaType": kind, "size": data.len(), "digest": format!("sha256:{digest}") })
        };
        let layers = manifest[0]["Layers"].as_array().expect("layers").iter();
        let text = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": part(&manifest[0]["Config"], "application/vnd.oci.image.config.v1+json"),
            "layers": layers.map(|l| part(l, "application/vnd.oci.image.layer.v1.tar")).collect::<Vec<_>>(),
        });
        let digest = self.blob(text.to_string().as_bytes());
        let manifests = format!("{repository}/_manifests");
        self.link(&format!("{manifests}/revisions/sha256/{digest}"), &digest);
        self.link(&format!("{manifests}/tags/{tag}/current"), &digest);
        self.link(&format!("{manifests}/tags/{tag}/index/sha256/{digest}"), &digest);
    }

    /// Its digest, in hex.
    fn blob(&self, data: &[u8]) -> String {
        let digest: String = Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect();
        let dir = self.storage.join(format!("docker/registry/v2/blobs/sha256/{}/{digest}", &digest[..2]));
        fs::create_dir_all(&dir).expect("make a directory");
        fs::write(dir.join("data"), data).expect("write a blob");
        digest
    }

    fn link(&self, path: &str, digest: &str) {
        let dir = self.storage.join("docker/registry/v2/repositories").join(path);
        fs::create_dir_all(&dir).expect("make a directory");
        fs::write(dir.join("link"), format!("sha256:{digest}")).expect("write a link");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn unpack(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(fs::File::open(archive).expect("open the archive"));
    let entries = tar.entries().expect("read the archive");
    let file = |entry: std::io::Result<tar::Entry<'_, fs::File>>| {
        let mut entry = entry.expect("an entry");
        let mut data = Vec::new();
        entry.read_to_end(&mut data).expect("read an entry");
        (entry.path().expect("a path").display().to_string(), data)
    };
    entries.map(file).collect()
}
