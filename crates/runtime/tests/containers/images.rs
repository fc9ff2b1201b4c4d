//! Images: archives and registries.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cri::ImageService;
use runtime::testimage;
use serde_json::json;

use super::Test;
use super::fixture::{Fixture, IMAGE, eventually};

pub const TESTS: &[Test] = &[
    ("images_are_listed_and_removed", images_are_listed_and_removed),
    ("damaged_archives_leave_nothing", damaged_archives_leave_nothing),
    ("images_are_pulled", images_are_pulled),
    ("failed_pulls_say_why", failed_pulls_say_why),
];

fn images_are_listed_and_removed() {
    Fixture::run(async |f| {
        let images = f.runtime.list_images().await.unwrap();
        assert_eq!(images.len(), 1);
        assert_eq!(images[0].repo_tags, [IMAGE]);
        assert!(images[0].size > 1_000_000, "{}", images[0].size);
        for name in ["busybox:test", IMAGE, images[0].id.as_str(), &images[0].id[7..19]] {
            assert_eq!(f.runtime.image_status(name).await.unwrap().as_ref(), Some(&images[0]), "{name}");
        }
        assert_eq!(f.runtime.image_status("busybox:other").await.unwrap(), None);
        f.runtime.remove_image(&images[0].id).await.unwrap();
        assert_eq!(f.runtime.list_images().await.unwrap(), []);
        assert_eq!(std::fs::read_dir(f.config.data_dir.join("images/layers")).unwrap().count(), 0);
        f.runtime.remove_image(&images[0].id).await.unwrap();
    });
}

fn damaged_archives_leave_nothing() {
    Fixture::run(async |f| {
        let layers = || std::fs::read_dir(f.config.data_dir.join("images/layers")).unwrap().count();
        let whole = std::fs::read(f.dir().join("busybox.tar")).unwrap();
        let mut image = testimage::busybox(json!({})).unwrap();
        let at = image.layer.len() / 2;
        image.layer[at] ^= 1;
        let mut flipped = Vec::new();
        testimage::docker_archive(&image, &["bad:1"], &mut flipped).unwrap();
        for (what, bytes, expected) in [
            ("cut", &whole[..whole.len() / 2], "it is cut off"),
            ("flipped", &flipped[..], "layer has digest"),
            ("text", &b"this is not a tar archive at all, but it is long enough to look at"[..], "it is not a tar archive"),
            ("empty", &[][..], "neither manifest.json nor index.json is in it"),
        ] {
            let path = f.dir().join(format!("{what}.tar"));
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", f.runtime.load_archive(&path).await.unwrap_err());
            assert!(error.starts_with(&format!("load image archive {}: ", path.display())), "{error}");
            assert!(error.contains(expected), "{what}: {error}");
            assert_eq!((f.runtime.list_images().await.unwrap().len(), layers()), (1, 1), "{what}");
        }
    });
}

/// Debian's docker-registry on a free port of loopback.
struct Registry {
    child: Child,
    host: String,
    _dir: tempfile::TempDir,
}

impl Registry {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let config = dir.path().join("config.yml");
        let storage = dir.path().join("storage");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("docker-registry")
            .args(["serve".as_ref(), config.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry (package docker-registry)");
        let registry = Registry { child, host, _dir: dir };
        eventually(async || tokio::net::TcpStream::connect(&registry.host).await.ok()).await;
        registry
    }

    /// Pushes an image with a compressed layer; its manifest's digest.
    async fn push(&self, repository: &str, tag: &str, image: &testimage::TestImage) -> String {
        use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
        let client = oci_client::Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
        let name = oci_client::Reference::with_tag(self.host.clone(), repository.into(), tag.into());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&image.layer).unwrap();
        let layer = ImageLayer::oci_v1_gzip(gzip.finish().unwrap(), None);
        let config = Config::oci_v1(image.config.clone(), None);
        let auth = oci_client::secrets::RegistryAuth::Anonymous;
        let url = client.push(&name, &[layer], config, &auth, None).await.unwrap().manifest_url;
        url.rsplit('/').next().unwrap().to_string()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn images_are_pulled() {
    Fixture::run(async |f| {
        let registry = Registry::start().await;
        let image = testimage::busybox(json!({ "Cmd": ["sh", "-c", "echo pulled; pwd"], "Env": ["PATH=/bin"], "WorkingDir": "/work/dir", "User": "web" })).unwrap();
        let pushed = registry.push("some/app", "v1", &image).await;
        let name = format!("{}/some/app:v1", registry.host);
        let id = f.runtime.pull_image(&name, None).await.unwrap();
        let found = f.runtime.image_status(&name).await.unwrap().unwrap();
        assert_eq!((&found.id, found.username.as_str()), (&id, "web"));
        assert_eq!(found.repo_tags, [name.clone()]);
        if pushed.starts_with("sha256:") {
            assert_eq!(found.repo_digests, [format!("{}/some/app@{pushed}", registry.host)]);
        }
        let by_digest = found.repo_digests[0].clone();
        assert_eq!(f.runtime.pull_image(&by_digest, None).await.unwrap(), id);
        let mut config = f.command("main", &[]);
        config.image = id;
        let (status, output) = f.outcome(&config).await;
        assert_eq!(output, "pulled\n/work/dir\n");
        assert_eq!((status.image_ref, status.user.map(|u| u.uid)), (by_digest, Some(33)));
        assert!(is_empty(&f.config.data_dir.join("images/downloads")));
    });
}

fn failed_pulls_say_why() {
    Fixture::run(async |f| {
        let registry = Registry::start().await;
        let name = format!("{}/no/such:image", registry.host);
        let error = f.runtime.pull_image(&name, None).await.unwrap_err().to_string();
        assert_eq!(error, format!("failed to pull and unpack image \"{name}\": {name}: not found"));
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = f.runtime.pull_image(&format!("{closed}/a:b"), None).await.unwrap_err().to_string();
        assert!(error.contains("Connection refused"), "{error}");
        let error = f.runtime.pull_image("A b", None).await.unwrap_err().to_string();
        assert!(error.contains("invalid reference format"), "{error}");
        assert_eq!(f.runtime.list_images().await.unwrap().len(), 1);
    });
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}
