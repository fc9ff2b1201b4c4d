//! The words of a template. Start at [`tokens`].

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What is wrong with the text from here on; the last token.
    Error,
    Eof,
    Text,
    Open,
    Close,
    Space,
    Assign,
    Declare,
    Pipe,
    OpenParen,
    CloseParen,
    /// Any other sign, as the comma.
    Sign,
    Char,
    Quoted,
    Raw,
    Number,
    Bool,
    Variable,
    Field,
    Identifier,
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// A word and where it stands.
#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    /// Byte in the source.
    pub at: usize,
    /// Counted from 1.
    pub line: usize,
    pub text: String,
}

impl Token {
    /// As parse errors name it.
    pub fn said(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".into(),
            Kind::Error => self.text.clone(),
            Kind::Dot | Kind::Nil => format!("<{}>", self.text),
            kind if kind as u8 >= Kind::Block as u8 => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let start: String = self.text.chars().take(10).collect();
                format!("{}...", crate::text::quote(&start))
            }
            _ => crate::text::quote(&self.text),
        }
    }
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// All words; the last one is [`Kind::Eof`] or [`Kind::Error`].
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { source, at: 0, counted: 0, line: 1, depth: 0, out: Vec::new() };
    if let Err(wrong) = lexer.text() {
        lexer.out.push(wrong);
    }
    lexer.out
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    /// Up to here line breaks are counted in `line`.
    counted: usize,
    line: usize,
    /// Of parentheses.
    depth: usize,
    out: Vec<Token>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        self.at += self.rest().find(|c| !wanted(c)).unwrap_or(self.rest().len());
    }

    fn line_of(&mut self, at: usize) -> usize {
        self.line += self.source[self.counted..at].matches('\n').count();
        self.counted = at;
        self.line
    }

    fn emit(&mut self, kind: Kind, from: usize) {
        let line = self.line_of(from);
        self.out.push(Token { kind, at: from, line, text: self.source[from..self.at].to_owned() });
    }

    fn wrong(&mut self, from: usize, text: impl Into<String>) -> Token {
        let line = self.line_of(from);
        Token { kind: Kind::Error, at: from, line, text: text.into() }
    }

    /// Text and actions in turn, to the end.
    fn text(&mut self) -> Result<(), Token> {
        loop {
            let from = self.at;
            let Some(open) = self.rest().find("{{") else {
                self.at = self.source.len();
                if self.at > from {
                    self.emit(Kind::Text, from);
                }
                self.emit(Kind::Eof, self.at);
                return Ok(());
            };
            let open = from + open;
            let trims = trims_left(&self.source[open + 2..]);
            self.at = open;
            if trims {
                self.at = from + self.source[from..open].trim_end_matches(SPACES).len();
            }
            if self.at > from {
                self.emit(Kind::Text, from);
            }
            self.at = open + 2;
            let after = if trims { self.at + 2 } else { self.at };
            if self.source[after..].starts_with("/*") {
                self.comment(after)?;
                continue;
            }
            self.emit(Kind::Open, open);
            self.at = after;
            self.depth = 0;
            self.action()?;
        }
    }

    fn comment(&mut self, from: usize) -> Result<(), Token> {
        self.at = from;
        let Some(end) = self.rest().find("*/") else { return Err(self.wrong(from, "unclosed comment")) };
        self.at += end + 2;
        match self.closing() {
            Some(trims) => self.close(trims),
            None => return Err(self.wrong(from, "comment ends before closing delimiter")),
        }
        Ok(())
    }

    /// Whether the action ends here, and if so, whether it eats the spaces after it.
    fn closing(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with("}}") {
            return Some(false);
        }
        let mut chars = rest.chars();
        (chars.next().is_some_and(|c| SPACES.contains(&c)) && chars.as_str().starts_with("-}}"))
            .then_some(true)
    }

    fn close(&mut self, trims: bool) {
        self.at += if trims { 4 } else { 2 };
        if trims {
            self.skip_while(|c| SPACES.contains(&c));
        }
    }

    /// What stands in braces, with the closing ones.
    fn action(&mut self) -> Result<(), Token> {
        loop {
            let from = self.at;
            if let Some(trims) = self.closing() {
                if self.depth > 0 {
                    return Err(self.wrong(from, "unclosed left paren"));
                }
                let start = if trims { from + 2 } else { from };
                self.at = start + 2;
                self.emit(Kind::Close, start);
                self.at = from;
                self.close(trims);
                return Ok(());
            }
            let Some(c) = self.take() else { return Err(self.wrong(from, "unclosed action")) };
            match c {
                c if SPACES.contains(&c) => {
                    while self.closing() != Some(true) && self.peek().is_some_and(|c| SPACES.contains(&c)) {
                        self.take();
                    }
                    self.emit(Kind::Space, from);
                }
                '=' => self.emit(Kind::Assign, from),
                ':' if self.take() == Some('=') => self.emit(Kind::Declare, from),
                ':' => return Err(self.wrong(from, "expected :=")),
                '|' => self.emit(Kind::Pipe, from),
                '"' => self.quoted(from, '"', "unterminated quoted string", Kind::Quoted)?,
                '\'' => self.quoted(from, '\'', "unterminated character constant", Kind::Char)?,
                '`' => {
                    let Some(end) = self.rest().find('`') else {
                        return Err(self.wrong(from, "unterminated raw quoted string"));
                    };
                    self.at += end + 1;
                    self.emit(Kind::Raw, from);
                }
                '$' => self.name(from, Kind::Variable, Kind::Variable)?,
                '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                    self.name(from, Kind::Field, Kind::Dot)?;
                }
                '.' | '+' | '-' | '0'..='9' => {
                    self.at = from;
                    self.number(from)?;
                }
                c if is_word(c) => self.word(from)?,
                '(' => {
                    self.depth += 1;
                    self.emit(Kind::OpenParen, from);
                }
                ')' => {
                    let Some(depth) = self.depth.checked_sub(1) else {
                        return Err(self.wrong(from, "unexpected right paren"));
                    };
                    self.depth = depth;
                    self.emit(Kind::CloseParen, from);
                }
                c if c.is_ascii_graphic() => self.emit(Kind::Sign, from),
                c => {
                    let text = format!("unrecognized character in action: {}", coded(c));
                    return Err(self.wrong(from, text));
                }
            }
        }
    }

    fn quoted(&mut self, from: usize, end: char, wrong: &str, kind: Kind) -> Result<(), Token> {
        loop {
            match self.take() {
                Some(c) if c == end => break,
                Some('\\') if self.take().is_some_and(|c| c != '\n') => {}
                None | Some('\n' | '\\') => return Err(self.wrong(from, wrong)),
                Some(_) => {}
            }
        }
        self.emit(kind, from);
        Ok(())
    }

    /// Whether a name may end here.
    fn at_end_of_name(&self) -> bool {
        self.rest().starts_with("}}")
            || match self.peek() {
                None => true,
                Some(c) => SPACES.contains(&c) || matches!(c, '.' | ',' | '|' | ':' | ')' | '('),
            }
    }

    /// `.name` and `$name`, or the sign alone.
    fn name(&mut self, from: usize, kind: Kind, alone: Kind) -> Result<(), Token> {
        if self.at_end_of_name() {
            self.emit(alone, from);
            return Ok(());
        }
        self.skip_while(is_word);
        self.ended(from)?;
        self.emit(kind, from);
        Ok(())
    }

    fn ended(&mut self, from: usize) -> Result<(), Token> {
        match self.peek() {
            Some(c) if !self.at_end_of_name() => Err(self.wrong(from, format!("bad character {}", coded(c)))),
            _ => Ok(()),
        }
    }

    fn word(&mut self, from: usize) -> Result<(), Token> {
        self.skip_while(is_word);
        self.ended(from)?;
        let kind = match &self.source[from..self.at] {
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            "block" => Kind::Block,
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "define" => Kind::Define,
            "else" => Kind::Else,
            "end" => Kind::End,
            "if" => Kind::If,
            "range" => Kind::Range,
            "template" => Kind::Template,
            "with" => Kind::With,
            _ => Kind::Identifier,
        };
        self.emit(kind, from);
        Ok(())
    }

    fn number(&mut self, from: usize) -> Result<(), Token> {
        let mut good = self.digits();
        // A complex number's second half must be an imaginary one.
        if good && matches!(self.peek(), Some('+' | '-')) {
            good = self.digits() && self.source[..self.at].ends_with('i');
        }
        if !good {
            let text = crate::text::quote(&self.source[from..self.at]);
            return Err(self.wrong(from, format!("bad number syntax: {text}")));
        }
        self.emit(Kind::Number, from);
        Ok(())
    }

    /// What may be a number; false if a word goes on after it.
    fn digits(&mut self) -> bool {
        self.accept("+-");
        let (mut digits, mut base) = ("0123456789_", 10);
        if self.accept("0") {
            for (signs, those, of) in
                [("xX", "0123456789abcdefABCDEF_", 16), ("oO", "01234567_", 8), ("bB", "01_", 2)]
            {
                if self.accept(signs) {
                    (digits, base) = (those, of);
                    break;
                }
            }
        }
        self.skip_while(|c| digits.contains(c));
        if self.accept(".") {
            self.skip_while(|c| digits.contains(c));
        }
        let power = match base {
            10 => "eE",
            16 => "pP",
            _ => "",
        };
        if self.accept(power) {
            self.accept("+-");
            self.skip_while(|c| "0123456789_".contains(c));
        }
        self.accept("i");
        let goes_on = self.peek().is_some_and(is_word);
        if goes_on {
            self.take();
        }
        !goes_on
    }

    fn accept(&mut self, any: &str) -> bool {
        let is = self.peek().is_some_and(|c| any.contains(c));
        if is {
            self.take();
        }
        is
    }
}

/// Whether an action that begins so eats the spaces before it.
fn trims_left(after: &str) -> bool {
    after.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES))
}

/// `U+0040 '@'`
fn coded(c: char) -> String {
    match c.is_control() {
        true => format!("U+{:04X}", u32::from(c)),
        false => format!("U+{:04X} '{c}'", u32::from(c)),
    }
}
