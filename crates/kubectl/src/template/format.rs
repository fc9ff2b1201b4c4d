//! Values as text, as Go's `fmt` writes them: [`shown`], [`sprint`], [`sprintln`], [`sprintf`].

mod number;

use serde_json::Value as Json;

use super::value::{Value, sorted};

/// How templates print what is not there.
pub const NO_VALUE: &str = "<no value>";

/// The flags of a verb.
#[derive(Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%#v`
    source: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// As an action prints its value.
pub fn shown(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Nothing => out.extend_from_slice(NO_VALUE.as_bytes()),
        other => argument(out, other, 'v', Spec::default()),
    }
}

/// As `%v`, for messages.
pub fn text(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    argument(&mut out, value, 'v', Spec::default());
    String::from_utf8_lossy(&out).into_owned()
}

/// One after the other, with a space between two that are not strings.
pub fn sprint(values: &[Value<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut after_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !after_text {
            out.push(b' ');
        }
        after_text = is_text;
        argument(&mut out, value, 'v', Spec::default());
    }
    out
}

/// With spaces between, and a line break.
pub fn sprintln(values: &[Value<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        argument(&mut out, value, 'v', Spec::default());
    }
    out.push(b'\n');
    out
}

/// By a format with verbs.
pub fn sprintf(format: &str, values: &[Value<'_>]) -> Vec<u8> {
    let mut printf = Printf {
        format: format.chars().collect(),
        at: 0,
        values,
        next: 0,
        reordered: false,
        good: true,
        out: Vec::new(),
    };
    printf.run();
    printf.out
}

struct Printf<'f, 'a> {
    format: Vec<char>,
    at: usize,
    values: &'f [Value<'a>],
    /// The argument whose turn it is.
    next: usize,
    /// `%[2]d` came: whether all arguments were used is not asked.
    reordered: bool,
    /// The last `[2]` names an argument.
    good: bool,
    out: Vec<u8>,
}

impl Printf<'_, '_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn peek(&self) -> Option<char> {
        self.format.get(self.at).copied()
    }

    fn run(&mut self) {
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '%' => self.verb(),
                c => self.put(c.encode_utf8(&mut [0; 4])),
            }
        }
        if !self.reordered && self.next < self.values.len() {
            self.put("%!(EXTRA ");
            for (at, value) in self.values.iter().enumerate().skip(self.next) {
                if at > self.next {
                    self.put(", ");
                }
                self.put(value.type_name());
                if !matches!(value, Value::Nothing) {
                    self.put("=");
                    argument(&mut self.out, value, 'v', Spec::default());
                }
            }
            self.put(")");
        }
    }

    fn verb(&mut self) {
        let mut spec = Spec::default();
        self.good = true;
        while let Some(c) = self.peek() {
            match c {
                '#' => spec.sharp = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                ' ' => spec.space = true,
                _ => break,
            }
            self.at += 1;
        }
        self.index();
        match self.star() {
            Some(Some(width)) => {
                spec.minus |= width < 0;
                spec.width = usize::try_from(width.unsigned_abs()).ok();
            }
            Some(None) => self.put("%!(BADWIDTH)"),
            None => spec.width = self.digits(),
        }
        if self.peek() == Some('.') {
            self.at += 1;
            self.index();
            match self.star() {
                Some(Some(precision)) if precision >= 0 => {
                    spec.precision = usize::try_from(precision).ok();
                }
                Some(Some(_)) => {}
                Some(None) => self.put("%!(BADPREC)"),
                None => spec.precision = Some(self.digits().unwrap_or(0)),
            }
        }
        self.index();
        let Some(verb) = self.peek() else {
            self.put("%!(NOVERB)");
            return;
        };
        self.at += 1;
        if verb == '%' {
            self.put("%");
        } else if !self.good {
            self.put(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(value) = self.values.get(self.next) {
            self.next += 1;
            if verb == 'v' && spec.sharp {
                (spec.sharp, spec.source) = (false, true);
            }
            spec.plus &= verb != 'v';
            spec.zero &= !spec.minus;
            argument(&mut self.out, value, verb, spec);
        } else {
            self.put(&format!("%!{verb}(MISSING)"));
        }
    }

    fn digits(&mut self) -> Option<usize> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let text: String = self.format[start..self.at].iter().collect();
        // As Go: nothing wider than a million.
        text.parse().ok().filter(|n| *n <= 1_000_000)
    }

    /// `*`: the number that the next argument is; none if it is no fit number.
    fn star(&mut self) -> Option<Option<i64>> {
        if self.peek() != Some('*') {
            return None;
        }
        self.at += 1;
        let value = self.values.get(self.next).and_then(Value::whole).filter(|n| n.abs() <= 1_000_000);
        self.next += usize::from(self.next < self.values.len());
        Some(value)
    }

    /// `[2]`
    fn index(&mut self) {
        if self.peek() != Some('[') {
            return;
        }
        self.reordered = true;
        let Some(end) = self.format[self.at..].iter().position(|c| *c == ']') else {
            self.good = false;
            self.at += 1;
            return;
        };
        let text: String = self.format[self.at + 1..self.at + end].iter().collect();
        self.at += end + 1;
        match text.parse::<usize>() {
            Ok(n) if n >= 1 && n <= self.values.len() => self.next = n - 1,
            _ => self.good = false,
        }
    }
}

/// A value by a verb.
fn argument(out: &mut Vec<u8>, value: &Value<'_>, verb: char, spec: Spec) {
    match (value, verb) {
        (_, 'T') => pad(out, value.type_name().as_bytes(), spec),
        (Value::Nothing, 'v') => pad(out, b"<nil>", spec),
        (Value::Boxed(json), _) => argument(out, &Value::of(json), verb, spec),
        (Value::Map(map), _) => {
            let (open, between, close) = match spec.source {
                true => ("map[string]interface {}{", ", ", "}"),
                false => ("map[", " ", "]"),
            };
            out.extend_from_slice(open.as_bytes());
            for (at, (key, item)) in sorted(map).into_iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(between.as_bytes());
                }
                argument(out, &Value::text(key), verb, spec);
                out.push(b':');
                element(out, item, verb, spec);
            }
            out.extend_from_slice(close.as_bytes());
        }
        (Value::List(list), _) => {
            let (open, between, close) = match spec.source {
                true => ("[]interface {}{", ", ", "}"),
                false => ("[", " ", "]"),
            };
            out.extend_from_slice(open.as_bytes());
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(between.as_bytes());
                }
                element(out, item, verb, spec);
            }
            out.extend_from_slice(close.as_bytes());
        }
        (Value::Bool(is), 't' | 'v') => pad(out, is.to_string().as_bytes(), spec),
        (Value::Text(text), _) if string(out, text, verb, spec) => {}
        (Value::Float(n), _) if number::float(out, *n, verb, spec) => {}
        (Value::Int(_) | Value::Int64(_) | Value::Byte(_), _)
            if number::whole(out, value.whole().unwrap_or_default(), verb, spec) => {}
        _ => wrong(out, value, verb, spec),
    }
}

fn element(out: &mut Vec<u8>, item: &Json, verb: char, spec: Spec) {
    match (item, spec.source) {
        (Json::Null, true) => out.extend_from_slice(b"interface {}(nil)"),
        (Json::Null, false) => out.extend_from_slice(b"<nil>"),
        _ => argument(out, &Value::of(item), verb, spec),
    }
}

/// A verb that does not fit: `%!d(string=a)`
fn wrong(out: &mut Vec<u8>, value: &Value<'_>, verb: char, spec: Spec) {
    out.extend_from_slice(format!("%!{verb}({}", value.type_name()).as_bytes());
    if !matches!(value, Value::Nothing) {
        out.push(b'=');
        argument(out, value, 'v', spec);
    }
    out.push(b')');
}

/// A text by a verb; false if the verb is not for texts.
fn string(out: &mut Vec<u8>, text: &[u8], verb: char, spec: Spec) -> bool {
    let cut = match spec.precision {
        Some(most) if !matches!(verb, 'x' | 'X') => {
            let text = String::from_utf8_lossy(text);
            text.chars().take(most).collect::<String>().into_bytes()
        }
        _ => text.to_vec(),
    };
    match verb {
        'v' if spec.source => pad(out, quoted(&cut).as_bytes(), spec),
        'v' | 's' => pad(out, &cut, spec),
        'q' if spec.sharp && !cut.iter().any(|b| *b == b'`' || *b < 0x20 && *b != b'\t' || *b == 0x7f) => {
            pad(out, &[b"`", cut.as_slice(), b"`"].concat(), spec);
        }
        'q' if spec.plus => {
            let ascii = quoted(&cut).chars().fold(String::new(), |out, c| match u32::from(c) {
                n if n < 0x80 => out + c.encode_utf8(&mut [0; 4]),
                n if n < 0x10000 => out + &format!("\\u{n:04x}"),
                n => out + &format!("\\U{n:08x}"),
            });
            pad(out, ascii.as_bytes(), spec);
        }
        'q' => pad(out, quoted(&cut).as_bytes(), spec),
        'x' | 'X' => {
            let most = spec.precision.unwrap_or(cut.len());
            let digits = |byte: &u8| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") };
            let prefix = if spec.sharp && !cut.is_empty() { format!("0{verb}") } else { String::new() };
            let between = if spec.space { format!(" {prefix}") } else { String::new() };
            let all: Vec<String> = cut.iter().take(most).map(digits).collect();
            pad(out, format!("{prefix}{}", all.join(&between)).as_bytes(), spec);
        }
        _ => return false,
    }
    true
}

/// As `%q`; bytes that are no text as `\xff`.
fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let text = crate::text::quote(chunk.valid());
        for c in text[1..text.len() - 1].chars() {
            match u32::from(c) {
                n if n < 0x80 || is_printed(c) => out.push(c),
                n if n < 0x10000 => out.push_str(&format!("\\u{n:04x}")),
                n => out.push_str(&format!("\\U{n:08x}")),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// To the width that is asked for, counted in characters.
fn pad(out: &mut Vec<u8>, text: &[u8], spec: Spec) {
    let length = String::from_utf8_lossy(text).chars().count();
    let missing = spec.width.unwrap_or(0).saturating_sub(length);
    let with = if spec.zero && !spec.minus { b'0' } else { b' ' };
    if !spec.minus {
        out.extend(std::iter::repeat_n(with, missing));
    }
    out.extend_from_slice(text);
    if spec.minus {
        out.extend(std::iter::repeat_n(with, missing));
    }
}

/// Whether Go would print a character as it is.
pub fn is_printed(c: char) -> bool {
    let invisible = matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..
    );
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}
