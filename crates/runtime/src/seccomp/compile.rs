//! Rules to a classic BPF program. Our own assembler: a profile may have several actions, and a call of another
//! architecture must fail, not kill.

use anyhow::{Result, bail};

use crate::spec::Bpf;

/// What happens to a call: seccomp's return value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action(pub u32);

impl Action {
    pub const ALLOW: Action = Action(0x7fff_0000);
    pub const KILL_PROCESS: Action = Action(0x8000_0000);
    pub const KILL_THREAD: Action = Action(0);
    pub const TRAP: Action = Action(0x0003_0000);
    pub const TRACE: Action = Action(0x7ff0_0000);
    pub const LOG: Action = Action(0x7ffc_0000);

    pub const fn errno(number: u32) -> Action {
        Action(0x0005_0000 | number & 0xffff)
    }
}

/// A comparison of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Of the bits in this mask.
    MaskedEqual(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// 0 to 5.
    pub argument: u8,
    pub compare: Compare,
    pub value: u64,
}

/// The first rule that fits decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub call: i64,
    /// All of them.
    pub conditions: Vec<Condition>,
    pub action: Action,
}

/// A whole filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub rules: Vec<Rule>,
    pub default: Action,
    /// Calls with higher numbers are newer than the rules: they do not exist (ENOSYS), so that a C library falls back.
    pub newest: Option<i64>,
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 0xc000_00f3;

/// x86-64's x32 calls carry this bit; they are another architecture to us.
const X32: u32 = 0x4000_0000;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;

const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> u64 {
    (code as u64) << 48 | (jt as u64) << 40 | (jf as u64) << 32 | k as u64
}

/// Where a jump within a condition goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Next,
    Pass,
    Fail,
}

/// The kernel's limit.
const LONGEST: usize = 4096;

pub(crate) fn compile(filter: &Filter) -> Result<Bpf> {
    let mut code = vec![
        instruction(LOAD, 0, 0, ARCHITECTURE_AT),
        instruction(JUMP_EQUAL, 1, 0, ARCHITECTURE),
        instruction(RETURN, 0, 0, filter.default.0),
        instruction(LOAD, 0, 0, NUMBER_AT),
    ];
    if cfg!(target_arch = "x86_64") {
        code.push(instruction(JUMP_GREATER_OR_EQUAL, 0, 1, X32));
        code.push(instruction(RETURN, 0, 0, filter.default.0));
    }
    for rule in &filter.rules {
        push_rule(rule, &mut code)?;
    }
    if let Some(newest) = filter.newest {
        code.push(instruction(JUMP_GREATER, 0, 1, newest as u32));
        code.push(instruction(RETURN, 0, 0, Action::errno(libc::ENOSYS as u32).0));
    }
    code.push(instruction(RETURN, 0, 0, filter.default.0));
    if code.len() > LONGEST {
        bail!("the seccomp profile is too long: {} instructions, {LONGEST} are allowed", code.len());
    }
    Ok(code)
}

fn push_rule(rule: &Rule, code: &mut Bpf) -> Result<()> {
    let body: Vec<Vec<(u16, To, To, u32)>> = rule.conditions.iter().map(condition).collect();
    // With conditions the accumulator must get the number back behind them.
    let reload = usize::from(!body.is_empty());
    let length = body.iter().map(Vec::len).sum::<usize>() + 1;
    if length > 250 {
        bail!("a seccomp rule has too many conditions");
    }
    code.push(instruction(JUMP_EQUAL, 0, length as u8, rule.call as u32));
    let mut behind = length;
    for part in &body {
        let count = part.len();
        for (i, (op, yes, no, k)) in part.iter().enumerate() {
            behind -= 1;
            let distance = |to: &To| match to {
                To::Next => 0,
                To::Pass => (count - i - 1) as u8,
                To::Fail => behind as u8,
            };
            code.push(instruction(*op, distance(yes), distance(no), *k));
        }
    }
    code.push(instruction(RETURN, 0, 0, rule.action.0));
    if reload == 1 {
        code.push(instruction(LOAD, 0, 0, NUMBER_AT));
    }
    Ok(())
}

/// The kernel's arguments are 64 bits wide, BPF's words 32: the high half decides first.
fn condition(condition: &Condition) -> Vec<(u16, To, To, u32)> {
    use To::{Fail, Next, Pass};
    let low_at = ARGUMENTS_AT + 8 * u32::from(condition.argument);
    let (high, low) = ((condition.value >> 32) as u32, condition.value as u32);
    let (load_high, load_low) = ((LOAD, Next, Next, low_at + 4), (LOAD, Next, Next, low_at));
    let ordered = |above: To, below: To, last: (u16, To, To, u32)| {
        vec![load_high, (JUMP_GREATER, above, Next, high), (JUMP_EQUAL, Next, below, high), load_low, last]
    };
    match condition.compare {
        Compare::Equal => {
            vec![load_high, (JUMP_EQUAL, Next, Fail, high), load_low, (JUMP_EQUAL, Next, Fail, low)]
        }
        Compare::NotEqual => {
            vec![load_high, (JUMP_EQUAL, Next, Pass, high), load_low, (JUMP_EQUAL, Fail, Next, low)]
        }
        Compare::MaskedEqual(mask) => vec![
            load_high,
            (AND, Next, Next, (mask >> 32) as u32),
            (JUMP_EQUAL, Next, Fail, high),
            load_low,
            (AND, Next, Next, mask as u32),
            (JUMP_EQUAL, Next, Fail, low),
        ],
        Compare::Greater => ordered(Pass, Fail, (JUMP_GREATER, Next, Fail, low)),
        Compare::GreaterOrEqual => ordered(Pass, Fail, (JUMP_GREATER_OR_EQUAL, Next, Fail, low)),
        Compare::Less => ordered(Fail, Pass, (JUMP_GREATER_OR_EQUAL, Fail, Next, low)),
        Compare::LessOrEqual => ordered(Fail, Pass, (JUMP_GREATER, Fail, Next, low)),
    }
}

#[cfg(test)]
pub(super) mod machine {
    //! The kernel's interpreter, as far as our programs go.

    use super::*;

    /// What the kernel would do with a call.
    pub fn run(program: &Bpf, architecture: u32, call: u32, arguments: [u64; 6]) -> Action {
        let mut data = [0u8; 64];
        data[0..4].copy_from_slice(&call.to_le_bytes());
        data[4..8].copy_from_slice(&architecture.to_le_bytes());
        for (i, argument) in arguments.iter().enumerate() {
            data[16 + 8 * i..24 + 8 * i].copy_from_slice(&argument.to_le_bytes());
        }
        let (mut at, mut a) = (0usize, 0u32);
        loop {
            let n = program[at];
            let (code, jt, jf, k) = ((n >> 48) as u16, (n >> 40) as u8, (n >> 32) as u8, n as u32);
            at += 1;
            let mut jump = |yes: bool| at += usize::from(if yes { jt } else { jf });
            match code {
                LOAD => a = u32::from_le_bytes(data[k as usize..k as usize + 4].try_into().unwrap()),
                AND => a &= k,
                JUMP_EQUAL => jump(a == k),
                JUMP_GREATER => jump(a > k),
                JUMP_GREATER_OR_EQUAL => jump(a >= k),
                RETURN => return Action(k),
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    pub const NATIVE: u32 = ARCHITECTURE;
}

#[cfg(test)]
mod tests {
    use super::machine::{NATIVE, run};
    use super::*;

    #[track_caller]
    fn check(compare: Compare, value: u64, argument: u64, fits: bool) {
        let condition = Condition { argument: 1, compare, value };
        let filter = Filter {
            rules: vec![
                Rule { call: 7, conditions: vec![condition], action: Action::errno(5) },
                Rule { call: 7, conditions: vec![], action: Action::LOG },
            ],
            default: Action::ALLOW,
            newest: None,
        };
        let program = compile(&filter).unwrap();
        let expected = if fits { Action::errno(5) } else { Action::LOG };
        assert_eq!(
            run(&program, NATIVE, 7, [0, argument, 0, 0, 0, 0]),
            expected,
            "{compare:?} {value} {argument}"
        );
        assert_eq!(run(&program, NATIVE, 8, [0, argument, 0, 0, 0, 0]), Action::ALLOW);
    }

    #[test]
    fn arguments_are_compared_in_full_width() {
        let numbers = [0, 1, 2, 5, 0xffff_ffff, 1 << 32, (1 << 32) + 5, u64::MAX];
        for value in numbers {
            for argument in numbers {
                check(Compare::Equal, value, argument, argument == value);
                check(Compare::NotEqual, value, argument, argument != value);
                check(Compare::Less, value, argument, argument < value);
                check(Compare::LessOrEqual, value, argument, argument <= value);
                check(Compare::Greater, value, argument, argument > value);
                check(Compare::GreaterOrEqual, value, argument, argument >= value);
                check(Compare::MaskedEqual(0xff), value & 0xff, argument, argument & 0xff == value & 0xff);
            }
        }
    }

    #[test]
    fn other_architectures_get_the_default() {
        let rules = vec![Rule { call: 7, conditions: vec![], action: Action::ALLOW }];
        let program = compile(&Filter { rules, default: Action::errno(1), newest: Some(9) }).unwrap();
        assert_eq!(run(&program, NATIVE, 7, [0; 6]), Action::ALLOW);
        assert_eq!(run(&program, 0x4000_0003, 7, [0; 6]), Action::errno(1));
        assert_eq!(run(&program, NATIVE, 9, [0; 6]), Action::errno(1));
        assert_eq!(run(&program, NATIVE, 10, [0; 6]), Action::errno(38));
    }
}
