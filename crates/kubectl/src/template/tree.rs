//! What a template is made of, and how its parts read in errors.

use std::fmt;

use crate::text::quote;

/// A part of a template's body.
#[derive(Debug)]
pub enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
    Template(Call),
}

/// `{{if pipe}}then{{else}}otherwise{{end}}`, and `with` and `range`.
#[derive(Debug)]
pub struct Branch {
    pub pipe: Pipe,
    pub then: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// `{{template "name" pipe}}`
#[derive(Debug)]
pub struct Call {
    pub at: usize,
    pub name: String,
    pub pipe: Option<Pipe>,
}

/// `$x := command | command`
#[derive(Debug)]
pub struct Pipe {
    pub at: usize,
    pub variables: Vec<String>,
    /// `=` rather than `:=`
    pub assigns: bool,
    pub commands: Vec<Command>,
}

/// A function or a value, with arguments.
#[derive(Debug)]
pub struct Command {
    pub at: usize,
    /// Never empty.
    pub words: Vec<Word>,
}

/// A word of a command.
#[derive(Debug)]
pub struct Word {
    /// Byte in the source.
    pub at: usize,
    pub term: Term,
}

#[derive(Debug)]
pub enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number {
        text: String,
        number: Number,
    },
    Text {
        quoted: String,
        text: Vec<u8>,
    },
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`, the name with its `$`
    Variable(String, Vec<String>),
    Function(String),
    Pipe(Pipe),
    /// `(pipe).a.b`
    Chain(Box<Word>, Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Float(f64),
    /// Above what an int holds: an error once it is used.
    TooLarge,
}

fn joined<T: fmt::Display>(all: &[T], with: &str) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(with)
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quote(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        f.write_str(&joined(&self.commands, " | "))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.words, " "))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, names: &[String]| {
            names.iter().try_for_each(|name| write!(f, ".{name}"))
        };
        match &self.term {
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Bool(is) => write!(f, "{is}"),
            Term::Number { text, .. } => f.write_str(text),
            Term::Text { quoted, .. } => f.write_str(quoted),
            Term::Field(names) => fields(f, names),
            Term::Variable(name, names) => {
                f.write_str(name)?;
                fields(f, names)
            }
            Term::Function(name) => f.write_str(name),
            Term::Pipe(pipe) => write!(f, "({pipe})"),
            Term::Chain(of, names) => {
                write!(f, "{of}")?;
                fields(f, names)
            }
        }
    }
}
