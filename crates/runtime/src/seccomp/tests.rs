use super::compile::machine::{NATIVE, run};
use super::*;

/// What the stacked filters do: the kernel takes the strictest answer.
#[track_caller]
fn check(filters: &[Bpf], call: i64, arguments: [u64; 6], expected: &str) {
    let answers = filters.iter().map(|f| run(f, NATIVE, call as u32, arguments));
    let strictest = answers.min_by_key(|a| a.0 & 0x7fff_0000).unwrap();
    let shown = match strictest {
        Action::ALLOW => "allow".to_string(),
        Action(other) if other >> 16 == 5 => format!("errno {}", other & 0xffff),
        other => format!("{other:?}"),
    };
    assert_eq!(shown, expected, "call {call}");
}

#[test]
fn the_default_lets_programs_run_and_no_more() {
    let none = default_filters(0).unwrap();
    for call in [libc::SYS_read, libc::SYS_openat, libc::SYS_execve, libc::SYS_futex, libc::SYS_ptrace] {
        check(&none, call, [0; 6], "allow");
    }
    for call in [libc::SYS_mount, libc::SYS_unshare, libc::SYS_bpf, libc::SYS_reboot, libc::SYS_keyctl] {
        check(&none, call, [0; 6], "errno 1");
    }
    check(&none, libc::SYS_io_uring_setup, [0; 6], "errno 1");
    check(&none, libc::SYS_clone3, [0; 6], "errno 38");
    check(&none, libc::SYS_clone, [0x11, 0, 0, 0, 0, 0], "allow");
    check(&none, libc::SYS_clone, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0], "errno 1");
    check(&none, libc::SYS_socket, [libc::AF_INET as u64, 0, 0, 0, 0, 0], "allow");
    check(&none, libc::SYS_socket, [libc::AF_VSOCK as u64, 0, 0, 0, 0, 0], "errno 1");
    check(&none, libc::SYS_personality, [0x20008, 0, 0, 0, 0, 0], "allow");
    check(&none, libc::SYS_personality, [0x4_0000, 0, 0, 0, 0, 0], "errno 1");
    check(&none, 2000, [0; 6], "errno 38");
}

#[test]
fn capabilities_open_their_calls() {
    let admin = default_filters(1 << caps::SYS_ADMIN).unwrap();
    for call in [libc::SYS_mount, libc::SYS_unshare, libc::SYS_clone3, libc::SYS_setns, libc::SYS_bpf] {
        check(&admin, call, [0; 6], "allow");
    }
    check(&admin, libc::SYS_clone, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0], "allow");
    check(&admin, libc::SYS_reboot, [0; 6], "errno 1");
}

#[test]
fn profiles_of_the_user_are_read() {
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
        {"names": ["kill"], "action": "SCMP_ACT_KILL", "args": [{"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}]},
        {"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_SYS_CHROOT"]}}]}"#;
    let filter = |caps| vec![compile(&profile::parse(profile.as_bytes(), caps).unwrap()).unwrap()];
    check(&filter(0), libc::SYS_mkdirat, [0; 6], "errno 13");
    check(&filter(0), libc::SYS_kill, [1, 9, 0, 0, 0, 0], "Action(0)");
    check(&filter(0), libc::SYS_kill, [1, 15, 0, 0, 0, 0], "allow");
    check(&filter(0), libc::SYS_chroot, [0; 6], "errno 1");
    check(&filter(1 << 18), libc::SYS_chroot, [0; 6], "allow");
}

#[test]
fn bad_profiles_say_what_is_wrong() {
    let error = profile::parse(br#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#, 0).unwrap_err();
    assert_eq!(error.to_string(), "seccomp action \"SCMP_ACT_NOTIFY\" is not supported");
}
