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
    ("mirrors_and_credentials_are_used", mirrors_and_credentials_are_used),
    ("layers_are_stacked_as_docker_does", layers_are_stacked_as_docker_does),
    ("layers_cannot_lead_out", layers_cannot_lead_out),
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
        // Another layer than the one that is there already, and then damaged.
        let mut layer = testimage::busybox(json!({})).unwrap().layers.remove(0);
        let at = layer.len() / 2;
        layer[at] ^= 1;
        let mut image = testimage::image(vec![layer], json!({})).unwrap();
        image.layers[0][at] ^= 2;
        let mut flipped = Vec::new();
        testimage::docker_archive(&image, &["bad:1"], &mut flipped).unwrap();
        for (what, bytes, expected) in [
            ("cut", &whole[..whole.len() / 2], "it is cut off"),
            ("flipped", &flipped[..], "layer has digest"),
            (
                "text",
                &b"this is not a tar archive at all, but it is long enough to look at"[..],
                "it is not a tar archive",
            ),
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
        Self::start_with(|_| String::new()).await
    }

    /// With what `more` adds to its configuration, given its directory.
    async fn start_with(more: impl Fn(&Path) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let config = dir.path().join("config.yml");
        let storage = dir.path().join("storage");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            storage.display()
        ) + &more(dir.path());
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
        let client = oci_client::Client::new(ClientConfig {
            protocol: ClientProtocol::Http,
            ..ClientConfig::default()
        });
        let name = oci_client::Reference::with_tag(self.host.clone(), repository.into(), tag.into());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&image.layers[0]).unwrap();
        let layer = ImageLayer::oci_v1_gzip(gzip.finish().unwrap(), None);
        let config = Config::oci_v1(image.config.clone(), None);
        let auth = oci_client::secrets::RegistryAuth::Basic("user".into(), "secret".into());
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
        assert_eq!(found.repo_tags, std::slice::from_ref(&name));
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

/// Stands in for docker.io, wants a password, and calls its repositories otherwise.
fn mirrors_and_credentials_are_used() {
    Fixture::run(async |f| {
        // "secret", hashed by bcrypt.
        const USERS: &str = "user:$2b$04$D7QajndeUQNO.FrWfyGEvOyOCxjoqfV67QG50ZYgv01lIu3z7rv/y\n";
        let registry = Registry::start_with(|dir| {
            let users = dir.join("htpasswd");
            std::fs::write(&users, USERS).unwrap();
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", users.display())
        })
        .await;
        let image = testimage::busybox(json!({ "Cmd": ["true"] })).unwrap();
        registry.push("official/nginx", "latest", &image).await;
        let with = async |registries| {
            let config = runtime::Config { registries, ..f.config.clone() };
            runtime::Runtime::open(config).await.unwrap()
        };
        let id = with(stand_in(&registry.host)).await.pull_image("nginx", None).await.unwrap();
        let runtime = with(Default::default()).await;
        let found = runtime.image_status("nginx").await.unwrap().unwrap();
        assert_eq!(
            (found.id.as_str(), found.repo_tags[0].as_str()),
            (id.as_str(), "docker.io/library/nginx:latest")
        );
        // Straight from it, with the pod's credentials, wrong ones and none.
        let name = format!("{}/official/nginx", registry.host);
        let auth = |password: &str| cri::AuthConfig {
            username: "user".into(),
            password: password.into(),
            ..Default::default()
        };
        assert_eq!(runtime.pull_image(&name, Some(&auth("secret"))).await.unwrap(), id);
        for auth in [Some(auth("wrong")), None] {
            let error = runtime.pull_image(&name, auth.as_ref()).await.unwrap_err().to_string();
            let expected = format!(
                "failed to pull and unpack image \"{name}:latest\": pull access denied, repository does not exist or may require authorization: "
            );
            assert!(error.starts_with(&expected), "{error}");
        }
    });
}

/// `host` as a mirror of docker.io, whose `library/x` is `official/x`.
fn stand_in(host: &str) -> runtime::registries::Registries {
    use runtime::registries::{Auth, Mirror, Registries, RegistryConfig};
    let auth = Auth { username: "user".into(), password: "secret".into(), ..Auth::default() };
    let mirror = Mirror {
        endpoint: vec![format!("http://{host}")],
        rewrite: [("^library/(.*)".to_string(), "official/$1".to_string())].into(),
    };
    Registries {
        mirrors: [("docker.io".to_string(), mirror)].into(),
        configs: [(host.to_string(), RegistryConfig { auth: Some(auth), tls: None })].into(),
    }
}

/// One entry of a layer: a path, and what it is.
enum Entry<'a> {
    File(&'a str, &'a str),
    Directory(&'a str),
    Link(&'a str, &'a str),
    HardLink(&'a str, &'a str),
}

fn layer(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let (path, kind, data, target) = match entry {
            Entry::File(path, data) => (path, tar::EntryType::Regular, *data, None),
            Entry::Directory(path) => (path, tar::EntryType::Directory, "", None),
            Entry::Link(path, target) => (path, tar::EntryType::Symlink, "", Some(target)),
            Entry::HardLink(path, target) => (path, tar::EntryType::Link, "", Some(target)),
        };
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(data.len() as u64);
        // Written as it is: the builder itself refuses paths with `..`.
        let name = &mut header.as_gnu_mut().unwrap().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        if let Some(target) = target {
            header.set_link_name_literal(target).unwrap();
        }
        header.set_cksum();
        tar.append(&header, data.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

async fn load(f: &Fixture, name: &str, layers: Vec<Vec<u8>>) -> Result<(), String> {
    let image = testimage::image(layers, json!({ "Env": ["PATH=/bin"] })).unwrap();
    let path = f.dir().join(format!("{name}.tar"));
    testimage::docker_archive(&image, &[name], std::fs::File::create(&path).unwrap()).unwrap();
    f.runtime.load_archive(&path).await.map(drop).map_err(|e| format!("{e:#}"))
}

fn layers_are_stacked_as_docker_does() {
    Fixture::run(async |f| {
        use Entry::{Directory, File, HardLink, Link};
        let base = testimage::busybox(json!({})).unwrap().layers.remove(0);
        let lower = layer(&[
            Directory("d"),
            File("d/removed", "x"),
            File("d/kept", "kept"),
            Directory("opaque"),
            File("opaque/old", "old"),
            Directory("run"),
            Link("var/run", "/run"),
            File("replaced", "file"),
        ]);
        let upper = layer(&[
            File("d/.wh.removed", ""),
            HardLink("d/hard", "d/kept"),
            File("opaque/new", "new"),
            File("opaque/.wh..wh..opq", ""),
            // Through the lower layer's link, as in the running container.
            File("var/run/pid", "1"),
            Directory("replaced"),
            File("replaced/inner", "inner"),
        ]);
        load(&f, "stack", vec![base, lower, upper]).await.unwrap();
        let mut config =
            f.shell("main", "ls d opaque run replaced; cat d/hard; stat -c %h d/kept; readlink var/run");
        config.image = "stack".into();
        let (_, output) = f.outcome(&config).await;
        let expected = "d:\nhard\nkept\n\nopaque:\nnew\n\nreplaced:\ninner\n\nrun:\npid\nkept2\n/run\n";
        assert_eq!(output, expected);
    });
}

fn layers_cannot_lead_out() {
    Fixture::run(async |f| {
        use Entry::{File, HardLink, Link};
        let outside = f.dir().join("outside");
        std::fs::create_dir(&outside).unwrap();
        let target = outside.to_string_lossy().into_owned();
        let secret = f.dir().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        let secret = secret.to_string_lossy().into_owned();
        for (what, entries, expected) in [
            ("dots", vec![File("../../../../../../tmp/knarr-escaped", "x")], "leads out of the layer"),
            ("link", vec![Link("a", &target), File("a/escaped", "x")], "unpack /a/escaped"),
            ("hard", vec![HardLink("stolen", &secret)], "No such file or directory"),
            ("whiteout", vec![Link("a", &target), File("a/.wh...", "")], "whiteout of \"..\""),
        ] {
            let error = load(&f, what, vec![layer(&entries)]).await.unwrap_err();
            assert!(error.contains(expected), "{what}: {error}");
            assert!(is_empty(&outside), "{what}");
        }
        assert!(!Path::new("/tmp/knarr-escaped").exists());
    });
}
