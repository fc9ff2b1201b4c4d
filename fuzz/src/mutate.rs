//! From a good input, or a bad one, to another.

use stdx::Random;

/// No input is longer.
pub const LENGTH_MAX: usize = 64 << 10;

/// Bytes that parsers have their trouble with.
const BYTES: &[u8] = b"\0\n\r\t \"'\\/{}[]():,;.-+=<>!@#$%&*?~`|_09aAzZ\x7f\x80\xbf\xc0\xf0\xff";

/// Texts that parsers have their trouble with: extremes of numbers, odd Unicode, words of the formats read here.
const WORDS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e-400",
    "1e999999999",
    "0.00000000000000000000000000001",
    "999999999999999999999999999999999999",
    "NaN",
    "Infinity",
    "0x7f",
    "1Ki",
    "1E",
    "1e3",
    "-1m",
    "1n",
    "9223372036854775807Ei",
    ".5",
    "5.",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\u{2028}",
    "\u{0}",
    "é",
    "𝔘",
    "..",
    "../",
    "%00",
    "%2e%2e",
    "%2F",
    "//",
    "*/1",
    "*/0",
    "1-0",
    "@every 1ns",
    "TZ=",
    "&a",
    "*a",
    "<<: *a",
    "!!binary ",
    "--- ",
    "? ",
    "|\n",
    "- ",
    "$patch",
    "$retainKeys",
    "replace",
    "delete",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "metadata",
    "name",
    "annotations",
    "spec",
    "status",
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    " in (",
    " notin (",
    "!=",
    "==",
    "=",
];

/// Changes the input a little; `other` is one to take pieces from.
pub fn mutate(random: &Random, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(3) {
        once(random, input, other);
    }
    input.truncate(LENGTH_MAX);
}

fn once(random: &Random, input: &mut Vec<u8>, other: &[u8]) {
    let at = place(random, input.len());
    let end = at + place(random, (input.len() - at).min(64));
    match random.below(12) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = pick(random, BYTES),
        2 => input.insert(at, pick(random, BYTES)),
        3 => drop(input.drain(at..end)),
        4 => insert(input, at, pick(random, WORDS).as_bytes()),
        5 => {
            input.splice(at..end, pick(random, WORDS).bytes());
        }
        6 => {
            let piece = input[at..end].to_vec();
            insert(input, place(random, input.len()), &piece);
        }
        // The same over and over: depth, and what grows faster than its input.
        7 => {
            let piece = input[at..end].to_vec();
            let room = LENGTH_MAX.saturating_sub(input.len()) / piece.len().max(1);
            let times = (1 << random.below(15)).min(room);
            insert(input, end, &piece.repeat(times));
        }
        8 if !other.is_empty() => {
            let from = place(random, other.len());
            let piece = other[from..from + place(random, other.len() - from)].to_vec();
            insert(input, at, &piece);
        }
        9 => input.truncate(at),
        10 => number(random, input, at),
        _ => nest(random, input, at),
    }
}

/// A number's bytes, as wire formats have them.
fn number(random: &Random, input: &mut [u8], at: usize) {
    const VALUES: &[u64] = &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];
    let value = pick(random, VALUES);
    let bytes = if random.below(2) == 0 { value.to_be_bytes() } else { value.to_le_bytes() };
    let width = [1, 2, 3, 4, 8][random.below(5) as usize];
    for (slot, byte) in input.iter_mut().skip(at).take(width).zip(&bytes[8 - width..]) {
        *slot = *byte;
    }
}

/// Brackets around what is there, thousands deep.
fn nest(random: &Random, input: &mut Vec<u8>, at: usize) {
    const PAIRS: &[(&str, &str)] = &[
        ("[", "]"),
        ("{\"a\":", "}"),
        ("(", ")"),
        ("- ", ""),
        ("a:\n ", ""),
        ("\x0a\x7f", ""),
        ("\x30\x7f", "\0\0"),
    ];
    let (open, close) = pick(random, PAIRS);
    let depth = 1 << random.below(14);
    insert(input, at, close.repeat(depth).as_bytes());
    insert(input, at, open.repeat(depth).as_bytes());
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let room = LENGTH_MAX.saturating_sub(input.len());
    input.splice(at..at, piece.iter().take(room).copied());
}

/// 0 to `end`, both included.
fn place(random: &Random, end: usize) -> usize {
    random.below(end as u64 + 1) as usize
}

fn pick<T: Copy>(random: &Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}
