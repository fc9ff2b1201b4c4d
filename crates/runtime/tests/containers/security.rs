//! What a container may and may not do, read from within.

use std::collections::BTreeMap;

use cri::{RuntimeService, SecurityProfile};

use super::Test;
use super::fixture::Fixture;

pub const TESTS: &[Test] = &[
    ("seccomp_and_capabilities_are_in_force", seccomp_and_capabilities_are_in_force),
    ("setuid_works_unless_the_pod_forbids_it", setuid_works_unless_the_pod_forbids_it),
    ("users_come_from_the_image_s_files", users_come_from_the_image_s_files),
    ("paths_are_masked_and_read_only", paths_are_masked_and_read_only),
    ("only_the_usual_devices_work", only_the_usual_devices_work),
    ("privileged_containers_have_everything", privileged_containers_have_everything),
    ("the_host_cannot_be_reached", the_host_cannot_be_reached),
    ("localhost_profiles_are_applied", localhost_profiles_are_applied),
    ("sysctls_are_the_pod_s", sysctls_are_the_pod_s),
    ("user_namespaces_map_root_away", user_namespaces_map_root_away),
    ("our_binary_cannot_be_written", our_binary_cannot_be_written),
    ("read_only_roots_are_read_only", read_only_roots_are_read_only),
    ("hostile_links_of_an_image_stay_inside", hostile_links_of_an_image_stay_inside),
];

fn seccomp_and_capabilities_are_in_force() {
    Fixture::run(async |f| {
        let status = f.script("grep -E '^(Seccomp|Seccomp_filters|CapEff|CapPrm|CapBnd|CapInh|CapAmb|NoNewPrivs):' /proc/self/status").await;
        let status: BTreeMap<&str, &str> = status.lines().filter_map(|l| l.split_once(":\t")).collect();
        let caps = "00000000a80425fb";
        let expected = [
            ("CapAmb", "0000000000000000"),
            ("CapBnd", caps),
            ("CapEff", caps),
            ("CapInh", "0000000000000000"),
            ("CapPrm", caps),
            ("NoNewPrivs", "0"),
            ("Seccomp", "2"),
            ("Seccomp_filters", "2"),
        ];
        assert_eq!(status, BTreeMap::from(expected));
        // Needs no capability, so that only the filter can refuse it.
        assert_eq!(
            f.script("unshare -U true 2>&1 || true").await,
            "unshare: unshare(0x10000000): Operation not permitted\n"
        );
        let mut config = f.shell("none", "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status");
        config.security_context.drop_capabilities = vec!["ALL".into()];
        config.security_context.add_capabilities = vec!["NET_BIND_SERVICE".into()];
        config.security_context.no_new_privs = true;
        config.security_context.seccomp = SecurityProfile::Unconfined;
        let (_, output) = f.outcome(&config).await;
        let cap = "0000000000000400";
        assert_eq!(output, format!("CapEff:\t{cap}\nCapBnd:\t{cap}\nNoNewPrivs:\t1\nSeccomp:\t0\n"));
    });
}

fn setuid_works_unless_the_pod_forbids_it() {
    Fixture::run(async |f| {
        // The program's exit code is its effective user.
        for (forbidden, expected) in [(false, 0), (true, 33)] {
            let mut config = f.command("main", &["/bin/suid"]);
            config.security_context.run_as_user = Some(33);
            config.security_context.no_new_privs = forbidden;
            let (status, _) = f.outcome(&config).await;
            assert_eq!(status.exit_code, expected, "no_new_privs: {forbidden}");
        }
    });
}

fn users_come_from_the_image_s_files() {
    Fixture::run(async |f| {
        let mut config = f.shell(
            "main",
            "id -u; id -g; id -G; echo $HOME; echo hi > /dev/stdout; : > /tmp/x; stat -c %u /tmp/x",
        );
        config.security_context.run_as_username = "web".into();
        config.security_context.supplemental_groups = vec![7];
        let (status, output) = f.outcome(&config).await;
        assert_eq!(output, "33\n34\n34 4 7\n/home\nhi\n33\n");
        let user = status.user.unwrap();
        assert_eq!((user.uid, user.gid, user.supplemental_groups), (33, 34, vec![4, 7, 34]));
    });
}

fn paths_are_masked_and_read_only() {
    Fixture::run(async |f| {
        let script = "cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v : | grep -v '^$' | wc -l
            echo 1 > /proc/sys/kernel/domainname || echo sys; mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/pids/x || echo cgroup
            touch /sys/x || echo sysfs; ls /sys/fs/cgroup | wc -l | grep -vx 0 > /dev/null && echo visible";
        let output = f.script(&script.replace('\n', ";")).await;
        let output: Vec<&str> = output.lines().filter(|l| !l.contains(": ")).collect();
        assert_eq!(output, ["0", "0", "sys", "cgroup", "sysfs", "visible"]);
    });
}

fn only_the_usual_devices_work() {
    Fixture::run(async |f| {
        let script = "ls /dev | tr '\\n' ' '; echo; echo x > /dev/null; head -c 4 /dev/urandom | wc -c;
            mknod /tmp/kmsg c 1 11 && (cat /tmp/kmsg 2>/dev/null && echo open || echo closed)";
        let output = f.script(script).await;
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(
            lines[0].trim(),
            "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
                .replace("core ", "")
        );
        assert_eq!(lines[1..], ["4", "closed"]);
    });
}

fn privileged_containers_have_everything() {
    Fixture::run(async |f| {
        let script = "grep Seccomp: /proc/self/status; test -c /dev/kmsg && echo kmsg; mount -t tmpfs none /tmp && echo mounted
            mkdir /sys/fs/cgroup/x 2>/dev/null || mkdir /sys/fs/cgroup/pids/x && echo cgroup; rmdir /sys/fs/cgroup/pids/x /sys/fs/cgroup/x 2>/dev/null; true";
        let mut config = f.shell("main", script);
        config.security_context.privileged = true;
        let (_, output) = f.outcome(&config).await;
        assert_eq!(output, "Seccomp:\t0\nkmsg\nmounted\ncgroup\n");
    });
}

fn the_host_cannot_be_reached() {
    Fixture::run(async |f| {
        let marker = f.dir().join("marker");
        std::fs::write(&marker, "").unwrap();
        let script = format!(
            "ls /../../ | tr '\\n' ' '; echo; test -e {} && echo found; ls /proc/1/root/ | wc -l; mount | grep -c {}; true",
            marker.display(),
            f.dir().display()
        );
        let output = f.script(&script).await;
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines[0].trim(), "bin dev etc home proc root sys tmp usr var");
        // The overlay's own options name its directories; nothing else does, and they lead nowhere from inside.
        assert_eq!(lines.last().map(|l| l.parse::<u32>().unwrap() <= 4), Some(true), "{output}");
        assert!(!output.contains("found"));
    });
}

fn localhost_profiles_are_applied() {
    Fixture::run(async |f| {
        let profile = f.dir().join("profile.json");
        let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}"#;
        std::fs::write(&profile, text).unwrap();
        let mut config = f.shell(
            "main",
            "grep Seccomp: /proc/self/status; mkdir /tmp/x 2>&1; touch /tmp/y && echo touched",
        );
        config.security_context.seccomp = SecurityProfile::Localhost(profile.to_string_lossy().into_owned());
        let (_, output) = f.outcome(&config).await;
        assert_eq!(
            output,
            "Seccomp:\t2\nmkdir: can't create directory '/tmp/x': Operation not permitted\ntouched\n"
        );
        let sandbox = f.sandbox().await;
        config.security_context.seccomp = SecurityProfile::Localhost("/no/such/profile".into());
        let error = f.runtime.create_container(&sandbox, &config, &f.pod()).await.unwrap_err().to_string();
        assert!(error.contains("cannot load seccomp profile \"/no/such/profile\""), "{error}");
    });
}

fn sysctls_are_the_pod_s() {
    Fixture::run(async |f| {
        let mut pod = f.pod();
        pod.sysctls.insert("kernel.shm_rmid_forced".into(), "1".into());
        pod.sysctls.insert("net.ipv4.ip_local_port_range".into(), "40000 50000".into());
        let sandbox = f.runtime.run_pod_sandbox(&pod).await.unwrap();
        let script = "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/ipv4/ip_unprivileged_port_start; df /dev/shm | grep -c shm";
        let script = script.replace("; df /dev/shm | grep -c shm", "");
        let id = f.start(&sandbox, &f.shell("main", &script)).await;
        f.ended(&id).await;
        assert_eq!(f.output("main/0.log"), "1\n40000\t50000\n0\n");
        pod.sysctls.insert("kernel.panic".into(), "1".into());
        let error = f.runtime.run_pod_sandbox(&pod).await.unwrap_err().to_string();
        assert!(error.contains("sysctl \"kernel.panic\" is not separately kept for the pod"), "{error}");
        assert_eq!(f.runtime.list_pod_sandboxes().await.unwrap().len(), 1);
    });
}

fn read_only_roots_are_read_only() {
    Fixture::run(async |f| {
        let volume = f.dir().join("volume");
        std::fs::create_dir(&volume).unwrap();
        let mut config =
            f.shell("main", "touch /x 2>&1; touch /data/y && echo writable; touch /fixed/z 2>&1; true");
        config.security_context.readonly_rootfs = true;
        let mount = |path: &str, readonly| cri::Mount {
            container_path: path.into(),
            host_path: volume.to_string_lossy().into_owned(),
            readonly,
            ..cri::Mount::default()
        };
        config.mounts = vec![mount("/data", false), mount("/fixed", true)];
        let (_, output) = f.outcome(&config).await;
        assert_eq!(
            output,
            "touch: /x: Read-only file system\nwritable\ntouch: /fixed/z: Read-only file system\n"
        );
        assert!(volume.join("y").exists());
    });
}

/// A volume mounted through a link of the image's that points at the host must land in the container.
fn hostile_links_of_an_image_stay_inside() {
    Fixture::run(async |f| {
        let outside = f.dir().join("outside");
        std::fs::create_dir(&outside).unwrap();
        let sandbox = f.sandbox().await;
        let config = f.shell("main", "ls -d /evil/mount; ls /evil/mount");
        let mut config = cri::ContainerConfig { ..config };
        let volume = f.dir().join("volume");
        std::fs::create_dir(&volume).unwrap();
        std::fs::write(volume.join("file"), "").unwrap();
        config.mounts = vec![cri::Mount {
            container_path: "/evil/mount".into(),
            host_path: volume.to_string_lossy().into_owned(),
            ..cri::Mount::default()
        }];
        let id = f.runtime.create_container(&sandbox, &config, &f.pod()).await.unwrap();
        // As if a layer had brought it.
        let upper = f.config.data_dir.join("containers").join(&id).join("upper");
        std::os::unix::fs::symlink(format!("../../../../..{}", outside.display()), upper.join("evil"))
            .unwrap();
        std::fs::create_dir_all(upper.join(outside.strip_prefix("/").unwrap())).unwrap();
        f.runtime.start_container(&id).await.unwrap();
        f.ended(&id).await;
        assert_eq!(f.output("main/0.log"), "/evil/mount\nfile\n");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    });
}

/// Root in the container is somebody else outside, and may do inside what root may.
fn user_namespaces_map_root_away() {
    Fixture::run(async |f| {
        let map = vec![cri::IdMapping { host_id: 200_000, container_id: 0, length: 65536 }];
        let mut pod = f.pod();
        pod.namespaces.userns = Some(cri::UserNamespace { uids: map.clone(), gids: map });
        let volume = f.dir().join("volume");
        std::fs::create_dir(&volume).unwrap();
        let sandbox = f.runtime.run_pod_sandbox(&pod).await.unwrap();
        let script = "cat /proc/self/uid_map | tr -s ' '; id -u; stat -c '%u %g' /bin/busybox /root /dev /v; touch /v/file /made; chown web /made; stat -c %u /made
            ip link add d type dummy 2>/dev/null; ifconfig lo 127.0.0.2 2>/dev/null; echo 1 > /dev/null && echo null; grep -E '^(CapEff|Seccomp):' /proc/self/status; sleep 600";
        let script =
            script.replace("ip link add d type dummy 2>/dev/null; ifconfig lo 127.0.0.2 2>/dev/null; ", "");
        let mut config = f.shell("main", &script);
        config.mounts = vec![cri::Mount {
            container_path: "/v".into(),
            host_path: volume.to_string_lossy().into_owned(),
            ..cri::Mount::default()
        }];
        let id = f.runtime.create_container(&sandbox, &config, &pod).await.unwrap();
        f.runtime.start_container(&id).await.unwrap();
        super::fixture::eventually(async || f.output("main/0.log").contains("Seccomp").then_some(())).await;
        let own = "0 0\n0 0\n0 0\n0 0\n";
        let expected = format!(" 0 200000 65536\n0\n{own}33\nnull\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n");
        assert_eq!(f.output("main/0.log"), expected);
        use std::os::unix::fs::MetadataExt;
        let pid = f.runtime.container_status(&id).await.unwrap().pid;
        assert_eq!(std::fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 200_000);
        // An id-mapped volume belongs outside to whom it belongs inside.
        assert_eq!(std::fs::metadata(volume.join("file")).unwrap().uid(), 0);
        let exec = f
            .runtime
            .exec_sync(
                &id,
                &["sh", "-c", "id -u; readlink /proc/self/ns/user; readlink /proc/1/ns/user"]
                    .map(String::from),
                5,
            )
            .await
            .unwrap();
        let output = String::from_utf8(exec.stdout).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!((lines[0], lines[1]), ("0", lines[2]));
        f.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
    });
}

/// What the trap of CVE-2019-5736 is called in the container.
pub const TRAP: &str = "/trap";

/// A script whose interpreter is /proc/self/exe makes an exec run our own binary in the container, where another process
/// keeps it open and writes it once it does not run any more.
fn our_binary_cannot_be_written() {
    Fixture::run(async |f| {
        let trap = f.dir().join("trap");
        std::fs::write(&trap, "#!/proc/self/exe\n").unwrap();
        std::fs::set_permissions(&trap, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let script = "echo ready; while true; do for p in /proc/[0-9]*; do
              exe=$(readlink $p/exe 2>/dev/null) || continue
              test \"$exe\" = /bin/busybox || { exec 3< $p/exe; break 2; }
            done; done
            echo caught; while test -e $p/cmdline; do sleep 0.05; done
            (echo evil >> /proc/self/fd/3) 2>/dev/null && echo written; chmod 777 /proc/self/fd/3 2>&1; echo end";
        let mut config = f.shell("main", script);
        let mount = |host: &str, container: &str| cri::Mount {
            host_path: host.into(),
            container_path: container.into(),
            readonly: true,
            ..cri::Mount::default()
        };
        // Our binary is dynamically linked here; give the attacker what it needs.
        config.mounts = vec![mount(&trap.to_string_lossy(), TRAP), mount("/usr/lib", "/usr/lib")];
        for lib in ["/lib", "/lib64"].into_iter().filter(|lib| std::path::Path::new(lib).exists()) {
            config.mounts.push(mount(lib, lib));
        }
        let sandbox = f.sandbox().await;
        let id = f.start(&sandbox, &config).await;
        super::fixture::eventually(async || f.output("main/0.log").contains("ready").then_some(())).await;
        let run = f.runtime.exec_sync(&id, &[TRAP.to_string()], 20).await.unwrap();
        assert_eq!(run.exit_code, 0, "{}", String::from_utf8_lossy(&run.stderr));
        f.ended(&id).await;
        // A shim that runs makes writing fail anyway; changing the mode only the mount forbids.
        let output = f.output("main/0.log");
        let expected = "ready\ncaught\nchmod: /proc/self/fd/3: Read-only file system\nend\n";
        assert_eq!(output, expected);
    });
}
