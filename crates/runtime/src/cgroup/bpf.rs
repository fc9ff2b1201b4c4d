//! Version 2's way to limit devices: a small eBPF program on the group.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::devices::{MAKE, READ, Rule, WRITE};

/// `struct bpf_insn`: code, destination and source register, offset, immediate.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

const fn op(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: dst | src << 4, offset, immediate }
}

const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;

/// The context holds three words: access << 16 | type, major, minor. The program returns 1 to allow.
fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut code = vec![
        op(LOAD_WORD, 2, 1, 0, 0),
        op(MOVE_REGISTER, 3, 2, 0, 0),
        op(AND, 2, 0, 0, 0xffff),
        op(SHIFT_RIGHT, 3, 0, 0, 16),
        op(LOAD_WORD, 4, 1, 4, 0),
        op(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules {
        let mut tests = vec![(2, if rule.block { BLOCK } else { CHARACTER })];
        tests.extend(rule.major.map(|n| (4, n as i32)));
        tests.extend(rule.minor.map(|n| (5, n as i32)));
        let mut block = Vec::new();
        let refused = (MAKE | READ | WRITE) & !rule.access;
        if refused != 0 {
            block.push(op(MOVE_REGISTER, 6, 3, 0, 0));
            block.push(op(AND, 6, 0, 0, refused.into()));
            tests.push((6, 0));
        }
        // Each failed test jumps over the tests behind it and the two instructions that allow.
        let count = tests.len();
        for (i, (register, value)) in tests.into_iter().enumerate() {
            block.push(op(JUMP_NOT_EQUAL, register, 0, (count - i - 1 + 2) as i16, value));
        }
        block.push(op(MOVE, 0, 0, 0, 1));
        block.push(op(EXIT, 0, 0, 0, 0));
        code.extend(block);
    }
    code.push(op(MOVE, 0, 0, 0, 0));
    code.push(op(EXIT, 0, 0, 0, 0));
    code
}

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// Attaches the rules to the version 2 group among `directories`; it goes with the group.
pub(super) fn attach(directories: &[PathBuf], rules: &[Rule]) -> Result<()> {
    let group = directories.iter().find(|d| d.join("cgroup.controllers").exists());
    let group = group.context("this machine has no cgroup that limits devices")?;
    let group = std::fs::File::open(group).context("open cgroup")?;
    let code = program(rules);
    let load = LoadAttr {
        prog_type: TYPE_CGROUP_DEVICE,
        insn_cnt: code.len() as u32,
        insns: code.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
    };
    // SAFETY: `load` has the layout of bpf(2)'s attribute for PROG_LOAD and what it points to outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &load, size_of::<LoadAttr>()) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error()).context("load device program");
    }
    // SAFETY: the kernel just returned this descriptor to us.
    let program = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let attach = AttachAttr {
        target_fd: group.as_raw_fd() as u32,
        attach_bpf_fd: program.as_fd().as_raw_fd() as u32,
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI,
    };
    // SAFETY: `attach` has the layout of bpf(2)'s attribute for PROG_ATTACH; both descriptors are open.
    let result = unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, &attach, size_of::<AttachAttr>()) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).context("attach device program");
    }
    Ok(())
}
