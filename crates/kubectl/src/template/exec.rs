//! A template run over an object. Start at [`run`].
//!
//! Errors name the part of the template that was looked at last, so [`Run::look`] stands where Go's engine notes it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::Value as Json;

use super::tree::{Branch, Call, Command, Node, Number, Pipe, Term, Word};
use super::value::{Value, sorted};
use super::{NAME, format, functions};

/// How deep templates may call each other. Go's engine allows 100000, on stacks that grow.
const DEPTH: usize = 200;

type Result<T> = std::result::Result<T, String>;

/// What a template is run with.
pub struct Setting<'a> {
    pub source: &'a str,
    pub templates: &'a BTreeMap<String, Vec<Node>>,
    /// A key that is not there is an error.
    pub strict: bool,
}

/// What was written, and the error that ended it, if any.
pub fn run(setting: &Setting<'_>, object: &Json) -> (Vec<u8>, Result<()>) {
    let dot = Value::of(object);
    let mut run = Run {
        setting,
        out: Vec::new(),
        name: NAME,
        looked: (0, &""),
        variables: vec![("$", dot.clone())],
        depth: 0,
    };
    let body = setting.templates.get(NAME).map(Vec::as_slice).unwrap_or_default();
    let outcome = run.body(&dot, body).map(|_| ());
    (run.out, outcome)
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    setting: &'a Setting<'a>,
    out: Vec<u8>,
    /// The template that runs.
    name: &'a str,
    looked: (usize, &'a dyn Display),
    variables: Vec<(&'a str, Value<'a>)>,
    depth: usize,
}

impl<'a> Run<'a> {
    fn look(&mut self, at: usize, part: &'a dyn Display) {
        self.looked = (at, part);
    }

    fn fail<T>(&self, text: impl Display) -> Result<T> {
        let (at, part) = self.looked;
        let before = &self.setting.source[..at];
        let line = 1 + before.matches('\n').count();
        let column = at - before.rfind('\n').map_or(0, |at| at + 1);
        let name = crate::text::quote(self.name);
        Err(format!("template: {NAME}:{line}:{column}: executing {name} at <{part}>: {text}"))
    }

    fn body(&mut self, dot: &Value<'a>, nodes: &'a [Node]) -> Result<Flow> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.extend_from_slice(text.as_bytes());
                    Flow::On
                }
                Node::Action(pipe) => {
                    let value = self.pipe(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        format::shown(&mut self.out, &value);
                    }
                    Flow::On
                }
                Node::If(branch) => self.choose(dot, branch, false)?,
                Node::With(branch) => self.choose(dot, branch, true)?,
                Node::Range(branch) => self.range(dot, branch)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
                Node::Template(call) => self.template(dot, call)?,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn choose(&mut self, dot: &Value<'a>, branch: &'a Branch, with: bool) -> Result<Flow> {
        let known = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let flow = match (value.is_true(), with) {
            (true, true) => self.body(&value, &branch.then),
            (true, false) => self.body(dot, &branch.then),
            (false, _) => self.body(dot, &branch.otherwise),
        }?;
        self.variables.truncate(known);
        Ok(flow)
    }

    fn range(&mut self, dot: &Value<'a>, branch: &'a Branch) -> Result<Flow> {
        let known = self.variables.len();
        let over = self.pipe(dot, &branch.pipe)?;
        let int = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
        let any = match over {
            Value::List(list) => {
                let items = list.iter().enumerate().map(|(at, item)| (int(at), Value::Boxed(item)));
                self.each(branch, items)?
            }
            Value::Map(map) => {
                let items = sorted(map).into_iter().map(|(key, item)| (Value::text(key), Value::Boxed(item)));
                self.each(branch, items)?
            }
            Value::Nothing => false,
            Value::Int(_) | Value::Int64(_) | Value::Byte(_) if branch.pipe.variables.len() > 1 => {
                let value = format::text(&over);
                return self.fail(format!("can't use {value} to iterate over more than one variable"));
            }
            Value::Int(n) => self.each(branch, (0..n).map(|n| (Value::Nothing, Value::Int(n))))?,
            Value::Int64(n) => self.each(branch, (0..n).map(|n| (Value::Nothing, Value::Int64(n))))?,
            Value::Byte(n) => self.each(branch, (0..n).map(|n| (Value::Nothing, Value::Byte(n))))?,
            other => return self.fail(format!("range can't iterate over {}", format::text(&other))),
        };
        let flow = if any { Flow::On } else { self.body(dot, &branch.otherwise)? };
        self.variables.truncate(known);
        Ok(flow)
    }

    /// The body of a range for each key and element; whether there were any.
    fn each(
        &mut self,
        branch: &'a Branch,
        items: impl Iterator<Item = (Value<'a>, Value<'a>)>,
    ) -> Result<bool> {
        let (known, names) = (self.variables.len(), &branch.pipe.variables);
        let mut any = false;
        for (key, item) in items {
            any = true;
            let values = if names.len() > 1 { vec![key, item.clone()] } else { vec![item.clone()] };
            for (at, (name, value)) in names.iter().zip(values).enumerate() {
                match branch.pipe.assigns {
                    true => self.assign(name, value)?,
                    false => self.variables[known - names.len() + at].1 = value,
                }
            }
            let flow = self.body(&item, &branch.then)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(any)
    }

    fn template(&mut self, dot: &Value<'a>, call: &'a Call) -> Result<Flow> {
        self.look(call.at, call);
        let Some((name, body)) = self.setting.templates.get_key_value(&call.name) else {
            return self.fail(format!("template {} not defined", crate::text::quote(&call.name)));
        };
        if self.depth == DEPTH {
            return self.fail(format!("exceeded maximum template depth ({DEPTH})"));
        }
        let dot = match &call.pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Nothing,
        };
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let around = std::mem::replace(&mut self.name, name);
        self.depth += 1;
        self.body(&dot, body)?;
        self.depth -= 1;
        (self.variables, self.name) = (variables, around);
        Ok(Flow::On)
    }

    fn assign(&mut self, name: &'a str, value: Value<'a>) -> Result<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some(variable) => variable.1 = value,
            None => return self.fail(format!("undefined variable: {name}")),
        }
        Ok(())
    }

    fn pipe(&mut self, dot: &Value<'a>, pipe: &'a Pipe) -> Result<Value<'a>> {
        self.look(pipe.at, pipe);
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?.open());
        }
        let value = value.unwrap_or(Value::Nothing);
        for name in &pipe.variables {
            match pipe.assigns {
                true => self.assign(name, value.clone())?,
                false => self.variables.push((name, value.clone())),
            }
        }
        Ok(value)
    }

    /// `last` is what the command before it in the pipe came to.
    fn command(
        &mut self,
        dot: &Value<'a>,
        command: &'a Command,
        last: Option<Value<'a>>,
    ) -> Result<Value<'a>> {
        let (first, arguments) = (&command.words[0], &command.words[1..]);
        let given = !arguments.is_empty() || last.is_some();
        match &first.term {
            Term::Function(name) => {
                self.look(first.at, first);
                self.call(dot, name, (command.at, command), arguments, last)
            }
            Term::Field(_) | Term::Variable(..) | Term::Chain(..) => self.value(dot, first, given),
            Term::Pipe(pipe) => {
                self.plain(first, given)?;
                self.pipe(dot, pipe)
            }
            Term::Nil => {
                self.look(first.at, first);
                self.plain(first, given)?;
                self.fail("nil is not a command")
            }
            _ => {
                self.look(first.at, first);
                self.plain(first, given)?;
                self.value(dot, first, false)
            }
        }
    }

    fn plain(&self, word: &Word, given: bool) -> Result<()> {
        match given {
            true => match &word.term {
                Term::Pipe(pipe) => self.fail(format!("can't give argument to non-function {pipe}")),
                _ => self.fail(format!("can't give argument to non-function {word}")),
            },
            false => Ok(()),
        }
    }

    /// The value of a word. `given`: it stands first, with arguments.
    fn value(&mut self, dot: &Value<'a>, word: &'a Word, given: bool) -> Result<Value<'a>> {
        self.look(word.at, word);
        match &word.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Ok(Value::Nothing),
            Term::Bool(is) => Ok(Value::Bool(*is)),
            Term::Text { text, .. } => Ok(Value::Text(Cow::Borrowed(text))),
            Term::Number { text, number } => match number {
                Number::Int(n) => Ok(Value::Int(*n)),
                Number::Float(n) => Ok(Value::Float(*n)),
                Number::TooLarge => self.fail(format!("{text} overflows int")),
            },
            Term::Field(names) => self.fields(dot.clone(), names, given),
            Term::Variable(name, names) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let Some((_, value)) = found else { return self.fail(format!("undefined variable: {name}")) };
                let value = value.clone();
                if names.is_empty() {
                    self.plain(word, given)?;
                }
                self.fields(value, names, given)
            }
            Term::Function(name) => self.call(dot, name, (word.at, word), &[], None),
            Term::Pipe(pipe) => self.pipe(dot, pipe),
            Term::Chain(of, names) => {
                if matches!(of.term, Term::Nil) {
                    return self.fail(format!("indirection through explicit nil in {word}"));
                }
                let value = self.value(dot, of, false)?;
                self.fields(value, names, given)
            }
        }
    }

    fn fields(&self, mut value: Value<'a>, names: &[String], given: bool) -> Result<Value<'a>> {
        for (at, name) in names.iter().enumerate() {
            let given = given && at + 1 == names.len();
            value = self.field(value, name, given)?;
        }
        Ok(value)
    }

    fn field(&self, of: Value<'a>, name: &str, given: bool) -> Result<Value<'a>> {
        let type_name = of.type_name();
        let key = || crate::text::quote(name);
        match of {
            Value::Nothing if self.setting.strict => {
                self.fail(format!("nil data; no entry for key {}", key()))
            }
            Value::Nothing => Ok(Value::Nothing),
            Value::Boxed(Json::Null) => self.fail(format!("nil pointer evaluating {type_name}.{name}")),
            other => match other.open() {
                Value::Map(_) if given => self.fail(format!("{name} is not a method but has arguments")),
                Value::Map(map) => match map.get(name) {
                    Some(value) => Ok(Value::Boxed(value)),
                    None if self.setting.strict => self.fail(format!("map has no entry for key {}", key())),
                    None => Ok(Value::Nothing),
                },
                _ => self.fail(format!("can't evaluate field {name} in type {type_name}")),
            },
        }
    }

    /// A function's value. `at`: the part of the template that its own errors name.
    fn call(
        &mut self,
        dot: &Value<'a>,
        name: &str,
        at: (usize, &'a dyn Display),
        arguments: &'a [Word],
        last: Option<Value<'a>>,
    ) -> Result<Value<'a>> {
        let takes = functions::takes(name);
        let given = arguments.len() + usize::from(last.is_some());
        if takes.more && given < takes.least {
            let got = arguments.len();
            return self
                .fail(format!("wrong number of args for {name}: want at least {} got {got}", takes.least));
        }
        if !takes.more && given != takes.least {
            return self.fail(format!("wrong number of args for {name}: want {} got {given}", takes.least));
        }
        if matches!(name, "and" | "or") {
            let mut value = Value::Nothing;
            for word in arguments {
                value = self.value(dot, word, false)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
            }
            return Ok(last.unwrap_or(value));
        }
        let mut values = Vec::with_capacity(given);
        for word in arguments {
            let value = match takes.text && values.is_empty() {
                true => self.text_of(dot, word)?,
                false if name == "len" => self.value(dot, word, false)?,
                false => self.value(dot, word, false)?.open(),
            };
            values.push(value);
        }
        if let Some(value) = last {
            let value = if takes.text && values.is_empty() { self.as_text(value)? } else { value };
            values.push(value);
        }
        let said = arguments.first().map(Word::to_string);
        functions::call(name, values, said.as_deref()).or_else(|e| {
            self.look(at.0, at.1);
            self.fail(format!("error calling {name}: {e}"))
        })
    }

    /// An argument that must be a string.
    fn text_of(&mut self, dot: &Value<'a>, word: &'a Word) -> Result<Value<'a>> {
        self.look(word.at, word);
        match &word.term {
            Term::Nil => self.fail("cannot assign nil to string"),
            Term::Bool(_) | Term::Number { .. } => self.fail(format!("expected string; found {word}")),
            _ => {
                let value = self.value(dot, word, false)?;
                self.as_text(value)
            }
        }
    }

    fn as_text(&self, value: Value<'a>) -> Result<Value<'a>> {
        let boxed = value.type_name();
        match (value, boxed) {
            (Value::Nothing, _) => self.fail("invalid value; expected string"),
            (value, boxed) => match value.open() {
                Value::Text(text) => Ok(Value::Text(text)),
                Value::Nothing => self.fail(format!("wrong type for value; expected string; got {boxed}")),
                other => {
                    self.fail(format!("wrong type for value; expected string; got {}", other.type_name()))
                }
            },
        }
    }
}
