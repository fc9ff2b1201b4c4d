//! A template's words made into its tree. Start at [`parse`]; what is wrong is said in Go's words.

use std::collections::BTreeMap;

use super::lex::{self, Kind, Token};
use super::tree::{Branch, Call, Command, Node, Pipe, Term, Word};
use super::{NAME, functions, literal};

/// How deep actions and parentheses may stand in each other.
const DEPTH: usize = 100;

type Result<T> = std::result::Result<T, String>;

/// The templates of a source by name; [`NAME`] is that of the source itself.
pub fn parse(source: &str) -> Result<BTreeMap<String, Vec<Node>>> {
    let mut parser = Parser {
        tokens: lex::tokens(source),
        next: 0,
        read: 0,
        variables: vec!["$".into()],
        ranges: 0,
        depth: 0,
        action_line: 0,
        templates: BTreeMap::new(),
    };
    let body = parser.source()?;
    parser.add(NAME.into(), body)?;
    Ok(parser.templates)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    /// The last token looked at: errors name its line.
    read: usize,
    /// Those that are known here.
    variables: Vec<String>,
    /// How many `range` this stands in.
    ranges: usize,
    depth: usize,
    /// Where the action began that is read; 0 between actions.
    action_line: usize,
    templates: BTreeMap<String, Vec<Node>>,
}

/// What [`Parser::step`] comes upon.
enum Step {
    Node(Node),
    End,
    Else,
}

impl Step {
    fn said(&self) -> &'static str {
        match self {
            Step::Else => "{{else}}",
            _ => "{{end}}",
        }
    }
}

impl Parser {
    fn peek(&mut self) -> &Token {
        // The last token ends all reading, so it is found again and again.
        self.next = self.next.min(self.tokens.len() - 1);
        self.read = self.read.max(self.next);
        &self.tokens[self.next]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn peek_word(&mut self) -> Token {
        self.skip_space();
        self.peek().clone()
    }

    fn take_word(&mut self) -> Token {
        self.skip_space();
        self.take()
    }

    fn fail<T>(&self, text: impl std::fmt::Display) -> Result<T> {
        Err(format!("template: {NAME}:{}: {text}", self.tokens[self.read].line))
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Result<T> {
        if token.kind != Kind::Error {
            return self.fail(format!("unexpected {} in {context}", token.said()));
        }
        if self.action_line == 0 || self.action_line == token.line {
            return self.fail(&token.text);
        }
        let action = if token.text.ends_with(" action") { "" } else { " in action" };
        self.fail(format!("{}{action} started at {NAME}:{}", token.text, self.action_line))
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        match self.depth > DEPTH {
            true => self.fail("actions are nested too deeply"),
            false => Ok(()),
        }
    }

    fn expect(&mut self, wanted: &[Kind], context: &str) -> Result<Token> {
        let token = self.take_word();
        match wanted.contains(&token.kind) {
            true => Ok(token),
            false => self.unexpected(&token, context),
        }
    }

    fn source(&mut self) -> Result<Vec<Node>> {
        let mut body = Vec::new();
        while self.peek().kind != Kind::Eof {
            let start = self.next;
            if self.take().kind == Kind::Open && self.take_word().kind == Kind::Define {
                self.definition()?;
                continue;
            }
            self.next = start;
            match self.step()? {
                Step::Node(node) => body.push(node),
                stop => return self.fail(format!("unexpected {}", stop.said())),
            }
        }
        Ok(body)
    }

    fn definition(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        let token = self.expect(&[Kind::Quoted, Kind::Raw], CONTEXT)?;
        let name = self.name(&token, CONTEXT)?;
        self.expect(&[Kind::Close], CONTEXT)?;
        self.own_template(name, CONTEXT)
    }

    /// The body of a template of its own, which knows no variables from around it.
    fn own_template(&mut self, name: String, context: &str) -> Result<()> {
        self.deeper()?;
        let around = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let (ranges, line) = (self.ranges, self.action_line);
        (self.ranges, self.action_line) = (0, 0);
        let (body, stop) = self.body()?;
        if !matches!(stop, Step::End) {
            return self.fail(format!("unexpected {} in {context}", stop.said()));
        }
        self.add(name, body)?;
        self.variables = around;
        self.depth -= 1;
        (self.ranges, self.action_line) = (ranges, line);
        Ok(())
    }

    fn add(&mut self, name: String, body: Vec<Node>) -> Result<()> {
        let empty =
            |body: &[Node]| body.iter().all(|node| matches!(node, Node::Text(t) if t.trim().is_empty()));
        match self.templates.get(&name) {
            Some(old) if !empty(old) => match empty(&body) {
                true => Ok(()),
                false => self
                    .fail(format!("template: multiple definition of template {}", crate::text::quote(&name))),
            },
            _ => {
                self.templates.insert(name, body);
                Ok(())
            }
        }
    }

    fn name(&mut self, token: &Token, context: &str) -> Result<String> {
        let text = match token.kind {
            Kind::Quoted | Kind::Raw => literal::text(&token.text),
            _ => return self.unexpected(token, context),
        };
        text.or_else(|e| self.fail(e)).map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    /// To the next `end` or `else`.
    fn body(&mut self) -> Result<(Vec<Node>, Step)> {
        let mut body = Vec::new();
        while self.peek_word().kind != Kind::Eof {
            match self.step()? {
                Step::Node(node) => body.push(node),
                stop => return Ok((body, stop)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn step(&mut self) -> Result<Step> {
        let token = self.take_word();
        match token.kind {
            Kind::Text => Ok(Step::Node(Node::Text(token.text))),
            Kind::Open => {
                self.action_line = token.line;
                let step = self.action()?;
                self.action_line = 0;
                Ok(step)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Result<Step> {
        let kind = self.peek_word().kind;
        if matches!(
            kind,
            Kind::Block
                | Kind::Break
                | Kind::Continue
                | Kind::Else
                | Kind::End
                | Kind::If
                | Kind::Range
                | Kind::Template
                | Kind::With
        ) {
            self.take();
        }
        Ok(Step::Node(match kind {
            Kind::End => {
                self.expect(&[Kind::Close], "end")?;
                return Ok(Step::End);
            }
            Kind::Else => {
                // `{{else if …` reads as `{{else}}{{if …`: the word is left for who asked.
                if !matches!(self.peek_word().kind, Kind::If | Kind::With) {
                    self.expect(&[Kind::Close], "else")?;
                }
                return Ok(Step::Else);
            }
            Kind::If => Node::If(self.branch("if")?),
            Kind::With => Node::With(self.branch("with")?),
            Kind::Range => Node::Range(self.branch("range")?),
            Kind::Break => self.leave("{{break}}", Node::Break)?,
            Kind::Continue => self.leave("{{continue}}", Node::Continue)?,
            Kind::Block => self.block()?,
            Kind::Template => self.call()?,
            _ => Node::Action(self.pipe("command", Kind::Close)?),
        }))
    }

    fn leave(&mut self, said: &str, node: Node) -> Result<Node> {
        self.expect(&[Kind::Close], said)?;
        match self.ranges {
            0 => self.fail(format!("{said} outside {{{{range}}}}")),
            _ => Ok(node),
        }
    }

    fn branch(&mut self, word: &str) -> Result<Branch> {
        // A chain of `else if` stands in itself, too.
        self.deeper()?;
        let known = self.variables.len();
        let pipe = self.pipe(word, Kind::Close)?;
        let in_range = usize::from(word == "range");
        self.ranges += in_range;
        let (then, stop) = self.body()?;
        self.ranges -= in_range;
        let mut otherwise = Vec::new();
        if matches!(stop, Step::Else) {
            match (word, self.peek().kind) {
                ("if", Kind::If) => {
                    self.take();
                    otherwise.push(Node::If(self.branch("if")?));
                }
                ("with", Kind::With) => {
                    self.take();
                    otherwise.push(Node::With(self.branch("with")?));
                }
                _ => {
                    let (body, stop) = self.body()?;
                    if !matches!(stop, Step::End) {
                        return self.fail(format!("expected end; found {}", stop.said()));
                    }
                    otherwise = body;
                }
            }
        }
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(Branch { pipe, then, otherwise })
    }

    fn block(&mut self) -> Result<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.take_word();
        let name = self.name(&token, CONTEXT)?;
        let pipe = self.pipe(CONTEXT, Kind::Close)?;
        self.own_template(name.clone(), CONTEXT)?;
        Ok(Node::Template(Call { at: token.at, name, pipe: Some(pipe) }))
    }

    fn call(&mut self) -> Result<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.take_word();
        let name = self.name(&token, CONTEXT)?;
        let pipe = match self.peek_word().kind {
            Kind::Close => {
                self.take();
                None
            }
            _ => Some(self.pipe(CONTEXT, Kind::Close)?),
        };
        Ok(Node::Template(Call { at: token.at, name, pipe }))
    }

    /// A pipe and what ends it.
    fn pipe(&mut self, context: &str, end: Kind) -> Result<Pipe> {
        self.deeper()?;
        let at = self.peek_word().at;
        let mut pipe = Pipe { at, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.variables_of(&mut pipe, context)?;
        loop {
            let token = self.take_word();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::Char
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::Raw
                | Kind::Quoted
                | Kind::Variable
                | Kind::OpenParen => {
                    self.next -= 1;
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        self.depth -= 1;
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        let value = |command: &Command| {
            matches!(
                command.words[0].term,
                Term::Bool(_) | Term::Dot | Term::Nil | Term::Number { .. } | Term::Text { .. }
            )
        };
        match pipe.commands.iter().skip(1).position(value) {
            Some(at) => self.fail(format!("non executable command in pipeline stage {}", at + 2)),
            None => Ok(pipe),
        }
    }

    /// `$x :=`, `$x =`, `$i, $x :=`
    fn variables_of(&mut self, pipe: &mut Pipe, context: &str) -> Result<()> {
        loop {
            self.skip_space();
            let start = self.next;
            if self.peek().kind != Kind::Variable {
                return Ok(());
            }
            let name = self.take().text;
            let sign = self.take_word();
            match sign.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.assigns = sign.kind == Kind::Assign;
                    pipe.variables.push(name.clone());
                    self.variables.push(name);
                    return Ok(());
                }
                Kind::Sign if sign.text == "," => {
                    pipe.variables.push(name.clone());
                    self.variables.push(name);
                    if context != "range" || pipe.variables.len() >= 2 {
                        return self.fail(format!("too many declarations in {context}"));
                    }
                    if !matches!(self.peek_word().kind, Kind::Variable | Kind::Close | Kind::CloseParen) {
                        return self.fail("range can only initialize variables");
                    }
                }
                _ => {
                    self.next = start;
                    return Ok(());
                }
            }
        }
    }

    fn command(&mut self) -> Result<Command> {
        let at = self.peek_word().at;
        let mut words = Vec::new();
        loop {
            self.skip_space();
            if let Some(word) = self.word()? {
                words.push(word);
            }
            let token = self.take();
            match token.kind {
                Kind::Space => {}
                Kind::Close | Kind::CloseParen => {
                    self.next -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return self.unexpected(&token, "operand"),
            }
        }
        match words.is_empty() {
            true => self.fail("empty command"),
            false => Ok(Command { at, words }),
        }
    }

    /// A term with the fields after it.
    fn word(&mut self) -> Result<Option<Word>> {
        let Some(word) = self.term()? else { return Ok(None) };
        if self.peek().kind != Kind::Field {
            return Ok(Some(word));
        }
        let at = self.peek().at;
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(self.take().text[1..].to_owned());
        }
        let term = match word.term {
            Term::Field(mut first) => {
                first.extend(names);
                Term::Field(first)
            }
            Term::Variable(name, mut first) => {
                first.extend(names);
                Term::Variable(name, first)
            }
            Term::Bool(_) | Term::Text { .. } | Term::Number { .. } | Term::Nil | Term::Dot => {
                let said = crate::text::quote(&word.to_string());
                return self.fail(format!("unexpected . after term {said}"));
            }
            _ => Term::Chain(Box::new(word), names),
        };
        Ok(Some(Word { at, term }))
    }

    fn term(&mut self) -> Result<Option<Word>> {
        let token = self.take_word();
        let text = token.text;
        let term = match token.kind {
            Kind::Identifier if functions::NAMES.contains(&text.as_str()) => Term::Function(text),
            Kind::Identifier => {
                return self.fail(format!("function {} not defined", crate::text::quote(&text)));
            }
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable if self.variables.contains(&text) => Term::Variable(text, Vec::new()),
            Kind::Variable => {
                return self.fail(format!("undefined variable {}", crate::text::quote(&text)));
            }
            Kind::Field => Term::Field(vec![text[1..].to_owned()]),
            Kind::Bool => Term::Bool(text == "true"),
            Kind::Char => {
                literal::char(&text).or_else(|e| self.fail(e)).map(|number| Term::Number { text, number })?
            }
            Kind::Number => literal::number(&text)
                .or_else(|e| self.fail(e))
                .map(|number| Term::Number { text, number })?,
            Kind::Quoted | Kind::Raw => literal::text(&text)
                .or_else(|e| self.fail(e))
                .map(|bytes| Term::Text { quoted: text, text: bytes })?,
            Kind::OpenParen => Term::Pipe(self.pipe("parenthesized pipeline", Kind::CloseParen)?),
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Word { at: token.at, term }))
    }
}
