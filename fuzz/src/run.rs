//! The loop: take an input, change it, look what comes of it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stdx::{Random, SystemClock};

use crate::meter::{self, Took};
use crate::mutate::mutate;
use crate::targets::Target;

/// As small as the stacks of the server's own threads.
const STACK: usize = 2 << 20;
/// So many inputs are kept to be changed further.
const POOL_MAX: usize = 4096;
/// What an input may take at most: so much, and so much more for each of its bytes. Far above what good inputs take, in a build
/// without optimisation.
const MEMORY: (usize, usize) = (128 << 20, 1024);
const TIME: (Duration, Duration) = (Duration::from_secs(2), Duration::from_micros(50));

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So many changed inputs.
    Count(u64),
    Elapsed(Duration),
}

/// Where the seeds of targets are.
pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The seeds of a target, by name. None is an error: nothing would be tried.
pub fn seeds(target: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let dir = corpus().join(target);
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
        let entry = entry?;
        seeds.push((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?));
    }
    seeds.sort();
    if seeds.is_empty() {
        bail!("{} is empty", dir.display());
    }
    Ok(seeds)
}

/// Tries the target's seeds, then changed ones; returns how many. The error says what is wrong with which input, which is kept
/// in `keep`; so is the one that ends the process (an overflown stack).
pub fn run(target: &'static Target, until: Until, seed: u64, keep: &Path) -> Result<u64> {
    std::fs::create_dir_all(keep).with_context(|| format!("create {}", keep.display()))?;
    let current = keep.join(format!("{}.current", target.name));
    let found = keep.join(format!("{}.found", target.name));
    let builder = std::thread::Builder::new().name(target.name.into()).stack_size(STACK);
    let file = std::fs::File::create(&current).with_context(|| format!("create {}", current.display()))?;
    let thread = builder.spawn(move || rounds(target, until, seed, &file, &found))?;
    let done = thread.join().unwrap_or_else(|_| bail!("{}: the loop itself panics", target.name));
    if done.is_ok() {
        let _ = std::fs::remove_file(current);
    }
    done
}

fn rounds(target: &Target, until: Until, seed: u64, current: &std::fs::File, found: &Path) -> Result<u64> {
    let (clock, random) = (SystemClock::shared(), Random::seeded(seed));
    let started = clock.monotonic();
    let (mut pool, mut answers) = (Vec::new(), HashSet::new());
    for (name, input) in seeds(target.name)? {
        let answer = check(target, &input).with_context(|| format!("corpus/{}/{name}", target.name))?;
        answers.insert(answer);
        pool.push(input);
    }
    let mut count = 0;
    loop {
        let go_on = match until {
            Until::Count(max) => count < max,
            // Looking at the clock is dearer than many a target.
            Until::Elapsed(max) => count % 64 != 0 || clock.monotonic() - started < max,
        };
        if !go_on {
            return Ok(count);
        }
        count += 1;
        let one = |random: &Random| random.below(pool.len() as u64) as usize;
        let mut input = pool[one(&random)].clone();
        mutate(&random, &mut input, &pool[one(&random)]);
        current.set_len(0)?;
        current.write_all_at(&input, 0)?;
        match check(target, &input) {
            Ok(answer) if answers.insert(answer) && pool.len() < POOL_MAX => pool.push(input),
            Ok(_) => {}
            Err(error) => {
                std::fs::write(found, &input)?;
                return Err(error.context(format!("input kept in {}", found.display())));
            }
        }
    }
}

/// One input alone, on a thread like the others.
pub fn alone(target: &'static Target, input: Vec<u8>) -> Result<u64> {
    let builder = std::thread::Builder::new().name(target.name.into()).stack_size(STACK);
    let thread = builder.spawn(move || check(target, &input))?;
    thread.join().unwrap_or_else(|_| bail!("{}: the check itself panics", target.name))
}

/// Gives the input to the target; the answer's sort.
pub fn check(target: &Target, input: &[u8]) -> Result<u64> {
    let name = target.name;
    // The first call fills tables that stay.
    let (caught, took) = meter::measure(|| catch_unwind(AssertUnwindSafe(|| (target.run)(input))));
    let Ok(answer) = caught else { bail!("{name} panics (its message is above)") };
    let over = |took: Took| {
        let memory = MEMORY.0 + MEMORY.1 * input.len();
        let time = TIME.0 + TIME.1 * input.len() as u32;
        (took.memory > memory || took.time > time).then(|| format!("{took:?}, for {} bytes", input.len()))
    };
    if over(took).is_some() {
        let (_, again) = meter::measure(|| (target.run)(input));
        if let Some(why) = over(again) {
            bail!("{name} takes {why}");
        }
    }
    Ok(sort_of(&answer))
}

/// Answers that differ in nothing but numbers and quotations are of one sort.
fn sort_of(answer: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let plain = |c: char| c.is_ascii_alphabetic() || c == ' ';
    let mut quoted = false;
    for c in answer.chars().take(200) {
        if c == '"' || c == '`' {
            quoted = !quoted;
        } else if !quoted && plain(c) {
            c.hash(&mut hasher);
        }
    }
    hasher.finish()
}
