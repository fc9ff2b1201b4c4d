//! The text form of label selectors.

use super::{Operator, Requirement, key_error};
use crate::field::Path;

/// Reads a comma-separated list of requirements.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { rest: text };
    let mut found = Vec::new();
    loop {
        match parser.peek(Words::Values) {
            Token::Word(_) | Token::Not => {}
            Token::End => return Ok(found),
            other => {
                return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text()));
            }
        }
        found.push(parser.requirement().map_err(|e| format!("unable to parse requirement: {e}"))?);
        match parser.next(Words::Values) {
            Token::End => return Ok(found),
            Token::Comma => match parser.peek(Words::Values) {
                Token::Word(_) | Token::Not => {}
                other => return Err(format!("found '{}', expected: identifier after ','", other.text())),
            },
            other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    End,
    Open,
    Close,
    Comma,
    Not,
    /// `=`, `in`, … with its text
    Operator(Operator, &'a str),
    Word(&'a str),
    /// Symbols that mean nothing together.
    Junk(&'a str),
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Token::End => "",
            Token::Open => "(",
            Token::Close => ")",
            Token::Comma => ",",
            Token::Not => "!",
            Token::Operator(_, text) | Token::Word(text) | Token::Junk(text) => text,
        }
    }
}

/// Whether `in` and `notin` are operators here, or values like any other.
#[derive(Clone, Copy, PartialEq)]
enum Words {
    Operators,
    Values,
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn peek(&self, words: Words) -> Token<'a> {
        Parser { rest: self.rest }.next(words)
    }

    fn next(&mut self, words: Words) -> Token<'a> {
        const SYMBOLS: &[char] = &['=', '!', '(', ')', ',', '>', '<'];
        const SPACES: &[char] = &[' ', '\t', '\r', '\n'];
        self.rest = self.rest.trim_start_matches(SPACES);
        if self.rest.is_empty() {
            return Token::End;
        }
        if !self.rest.starts_with(SYMBOLS) {
            let is_end = |c| SYMBOLS.contains(&c) || SPACES.contains(&c);
            return word(self.take(self.rest.find(is_end).unwrap_or(self.rest.len())), words);
        }
        let run = self.rest.find(|c| !SYMBOLS.contains(&c)).unwrap_or(self.rest.len());
        // The longest run of symbols that means something, as upstream's lexer grows it.
        for len in 1..=run {
            let here = symbol(&self.rest[..len]);
            let further = self.rest.get(..len + 1).filter(|_| len < run).and_then(symbol);
            if let (Some(token), None) = (here, further) {
                self.take(len);
                return token;
            }
        }
        Token::Junk(self.take(run))
    }

    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (key, unary) = self.key()?;
        let (operator, values) = match unary {
            Some(operator) => (operator, Vec::new()),
            None => {
                let operator = self.operator()?;
                let values = match operator {
                    Operator::In | Operator::NotIn => self.values()?,
                    _ => vec![self.exact_value()?],
                };
                (operator, values)
            }
        };
        Requirement::new(key, operator, values, &Path::default()).map_err(|errs| errs.aggregate())
    }

    /// A key, with its operator when that needs no values.
    fn key(&mut self) -> Result<(&'a str, Option<Operator>), String> {
        let mut token = self.next(Words::Values);
        let mut unary = None;
        if token == Token::Not {
            unary = Some(Operator::DoesNotExist);
            token = self.next(Words::Values);
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        if let Some(e) = key_error(key, &Path::default()) {
            return Err(e.to_string());
        }
        if matches!(self.peek(Words::Values), Token::End | Token::Comma) {
            unary = unary.or(Some(Operator::Exists));
        }
        Ok((key, unary))
    }

    fn operator(&mut self) -> Result<Operator, String> {
        match self.next(Words::Operators) {
            Token::Operator(operator, _) => Ok(operator),
            other => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text())),
        }
    }

    /// `(x,y,)`: sorted, each once.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.next(Words::Values);
        if open != Token::Open {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = match self.peek(Words::Values) {
            Token::Word(_) | Token::Comma => self.value_list()?,
            Token::Close => vec![String::new()],
            other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        };
        self.next(Words::Values);
        values.sort();
        values.dedup();
        Ok(values)
    }

    /// Up to the closing parenthesis. Nothing between commas is the empty value.
    fn value_list(&mut self) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        loop {
            match self.next(Words::Values) {
                Token::Word(value) => {
                    values.push(value.to_owned());
                    match self.peek(Words::Values) {
                        Token::Comma => {}
                        Token::Close => return Ok(values),
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Comma => {
                    if values.is_empty() {
                        values.push(String::new());
                    }
                    match self.peek(Words::Values) {
                        Token::Close => {
                            values.push(String::new());
                            return Ok(values);
                        }
                        Token::Comma => {
                            self.next(Words::Values);
                            values.push(String::new());
                        }
                        _ => {}
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek(Words::Values), Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next(Words::Values) {
            Token::Word(value) => Ok(value.into()),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }
}

fn word(text: &str, words: Words) -> Token<'_> {
    match (text, words) {
        ("in", Words::Operators) => Token::Operator(Operator::In, text),
        ("notin", Words::Operators) => Token::Operator(Operator::NotIn, text),
        _ => Token::Word(text),
    }
}

fn symbol(text: &str) -> Option<Token<'_>> {
    Some(match text {
        "(" => Token::Open,
        ")" => Token::Close,
        "," => Token::Comma,
        "!" => Token::Not,
        "=" => Token::Operator(Operator::Equals, text),
        "==" => Token::Operator(Operator::DoubleEquals, text),
        "!=" => Token::Operator(Operator::NotEquals, text),
        ">" => Token::Operator(Operator::GreaterThan, text),
        "<" => Token::Operator(Operator::LessThan, text),
        _ => return None,
    })
}
