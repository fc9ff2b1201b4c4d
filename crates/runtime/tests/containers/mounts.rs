//! Volumes in containers.

use std::path::{Path, PathBuf};

use cri::{Mount, MountPropagation, RuntimeService};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::Test;
use super::fixture::{Fixture, eventually};

pub const TESTS: &[Test] = &[
    ("files_and_directories_are_mounted", files_and_directories_are_mounted),
    ("read_only_reaches_as_far_as_asked", read_only_reaches_as_far_as_asked),
    ("mounts_propagate_as_asked", mounts_propagate_as_asked),
    ("missing_sources_say_so", missing_sources_say_so),
];

/// A tmpfs on the host for the time of a test.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        mount(Some("knarr-test"), path, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        Tmpfs(path.to_path_buf())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn volume(host: &Path, container: &str) -> Mount {
    Mount {
        host_path: host.to_string_lossy().into_owned(),
        container_path: container.into(),
        ..Mount::default()
    }
}

fn files_and_directories_are_mounted() {
    Fixture::run(async |f| {
        let (file, dir) = (f.dir().join("file"), f.dir().join("dir"));
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(&dir).unwrap();
        let script = "echo bye > /dev/termination-log; echo data > /new/deep/dir/inner/x; cat /etc/resolv.conf /etc/hostname; df /dev/shm | grep -c ^shm";
        let mut config = f.shell("main", script);
        // Listed inner one first: the order must not matter.
        config.mounts = vec![
            volume(&dir, "/new/deep/dir/inner"),
            volume(f.dir().join("dir").as_path(), "/new/deep/dir"),
            volume(&file, "/dev/termination-log"),
        ];
        let mut pod = f.pod();
        pod.dns = Some(cri::DnsConfig {
            servers: vec!["10.43.0.10".into()],
            searches: vec!["default.svc.cluster.local".into(), "svc.cluster.local".into()],
            options: vec!["ndots:5".into()],
        });
        std::fs::create_dir(dir.join("inner")).unwrap();
        let sandbox = f.runtime.run_pod_sandbox(&pod).await.unwrap();
        let id = f.start(&sandbox, &config).await;
        f.ended(&id).await;
        let expected = "search default.svc.cluster.local svc.cluster.local\nnameserver 10.43.0.10\noptions ndots:5\npod\n";
        let output = f.output("main/0.log");
        assert!(output.starts_with(expected), "{output}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "bye\n");
        assert_eq!(std::fs::read_to_string(dir.join("x")).unwrap(), "data\n");
    });
}

fn read_only_reaches_as_far_as_asked() {
    Fixture::run(async |f| {
        let outer = f.dir().join("outer");
        std::fs::create_dir(&outer).unwrap();
        let _inner = Tmpfs::mount(&outer.join("inner"));
        for (recursive, expected) in [(false, "outer\n"), (true, "outer\ninner\n")] {
            let script = "touch /v/x 2>/dev/null || echo outer; touch /v/inner/x 2>/dev/null || echo inner";
            let mut config = f.shell("main", script);
            config.mounts =
                vec![Mount { readonly: true, recursive_readonly: recursive, ..volume(&outer, "/v") }];
            assert_eq!(f.outcome(&config).await.1, expected, "recursive: {recursive}");
        }
    });
}

fn mounts_propagate_as_asked() {
    Fixture::run(async |f| {
        let shared = Tmpfs::mount(&f.dir().join("shared"));
        mount(None::<&str>, &shared.0, None::<&str>, MsFlags::MS_SHARED, None::<&str>).unwrap();
        std::fs::create_dir(shared.0.join("late")).unwrap();
        let sandbox = f.sandbox().await;
        let with = |name: &str, propagation| {
            let mut config = f.command(name, &["sleep", "600"]);
            config.security_context.privileged = propagation == MountPropagation::Bidirectional;
            config.mounts = vec![Mount { propagation, ..volume(&shared.0, "/v") }];
            config
        };
        let private = f.start(&sandbox, &with("private", MountPropagation::Private)).await;
        let slave = f.start(&sandbox, &with("slave", MountPropagation::HostToContainer)).await;
        let both = f.start(&sandbox, &with("both", MountPropagation::Bidirectional)).await;
        // From the host in.
        let late = Tmpfs::mount(&shared.0.join("late"));
        std::fs::write(late.0.join("file"), "").unwrap();
        let sees = async |id: &str, path: &str| {
            let command = ["test".to_string(), "-e".to_string(), path.to_string()];
            f.runtime.exec_sync(id, &command, 5).await.unwrap().exit_code == 0
        };
        for (id, expected) in [(&private, false), (&slave, true), (&both, true)] {
            assert_eq!(sees(id, "/v/late/file").await, expected);
        }
        // From a container out, and into the others.
        let script = "mkdir /v/made && mount -t tmpfs none /v/made && touch /v/made/inside";
        let command = ["sh", "-c", script].map(String::from);
        assert_eq!(f.runtime.exec_sync(&both, &command, 5).await.unwrap().exit_code, 0);
        assert!(shared.0.join("made/inside").exists());
        assert!(sees(&slave, "/v/made/inside").await && !sees(&private, "/v/made/inside").await);
        // A mount that is not shared cannot carry anything out.
        let lone = Tmpfs::mount(&f.dir().join("lone"));
        mount(None::<&str>, &lone.0, None::<&str>, MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        let mut config = with("lone", MountPropagation::Bidirectional);
        config.mounts[0].host_path = lone.0.to_string_lossy().into_owned();
        let id = f.runtime.create_container(&sandbox, &config, &f.pod()).await.unwrap();
        let error = f.runtime.start_container(&id).await.unwrap_err().to_string();
        assert!(error.contains("but it is not a shared mount"), "{error}");
        f.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
        eventually(async || umount2(&shared.0.join("made"), MntFlags::MNT_DETACH).is_ok().then_some(()))
            .await;
    });
}

fn missing_sources_say_so() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let mut config = f.shell("main", "true");
        config.mounts = vec![volume(Path::new("/no/such/dir"), "/v")];
        let id = f.runtime.create_container(&sandbox, &config, &f.pod()).await.unwrap();
        let error = f.runtime.start_container(&id).await.unwrap_err().to_string();
        assert!(error.contains("mount /no/such/dir to /v: No such file or directory"), "{error}");
    });
}
