//! Failures as kubectl tells them. Start at [`Error::report`]: the text for stderr, and the exit code.

use std::fmt;

use apimachinery::Status;

pub type Result<T> = std::result::Result<T, Error>;

/// Why a command fails.
#[derive(Debug)]
pub enum Error {
    /// Said as `error: …`.
    Text(String),
    /// Said as it is, without `error: ` before it.
    Plain(String),
    /// What the API server answered.
    Status(Box<Status>),
    /// No kind of that name.
    NoMatch { resource: String, group: String, version: String },
    /// The server is not there, or not what it should be.
    Connection(String),
    /// What the kubeconfig lacks or contradicts.
    Configuration(Vec<String>),
    /// Several, a line each.
    Many(Vec<Error>),
    /// An exit code of somebody else's, with a text.
    Exit(i32, String),
    /// All is said already.
    Silent(i32),
}

impl Error {
    pub fn text(text: impl Into<String>) -> Self {
        Error::Text(text.into())
    }

    /// A mistake in how the command was called.
    pub fn usage(command: &str, text: impl fmt::Display) -> Self {
        Error::Text(format!("{text}\nSee 'kubectl {command} -h' for help and examples"))
    }

    pub fn status(&self) -> Option<&Status> {
        match self {
            Error::Status(status) => Some(status),
            _ => None,
        }
    }

    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(|s| s.reason == "NotFound")
    }

    pub fn is_conflict(&self) -> bool {
        self.status().is_some_and(|s| s.reason == "Conflict")
    }

    pub fn is_reason(&self, reason: &str) -> bool {
        self.status().is_some_and(|s| s.reason == reason)
    }

    /// Says what was being done, and to what.
    pub fn during(self, verb: &str, source: &str) -> Self {
        if source.is_empty() {
            return self;
        }
        match self {
            Error::Status(mut status) => {
                status.message = format!("error when {verb} \"{source}\": {}", status.message);
                Error::Status(status)
            }
            Error::Text(text) => Error::Text(format!("error when {verb} \"{source}\": {text}")),
            other => other,
        }
    }

    /// Text (with the line break at its end, unless there is nothing to say) and exit code.
    pub fn report(&self) -> (String, i32) {
        let mut text = match self {
            Error::Silent(code) => return (String::new(), *code),
            Error::Exit(code, text) => return (line(text), *code),
            Error::Status(status) if status.reason == "Invalid" => invalid(status),
            Error::Configuration(all) => many("Error in configuration: ", all),
            Error::NoMatch { .. } => format!("error: {self}"),
            Error::Many(all) => match all.as_slice() {
                [one] => return one.report(),
                all => all.iter().map(Error::said).collect::<Vec<_>>().join("\n"),
            },
            Error::Text(text) if !text.starts_with("error: ") => format!("error: {text}"),
            other => other.said(),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        (text, 1)
    }

    fn said(&self) -> String {
        match self {
            Error::Status(status) if status.reason == "Unauthorized" => {
                format!("error: You must be logged in to the server ({})", status.message)
            }
            Error::Status(status) if status.reason.is_empty() => {
                format!("Error from server: {}", status.message)
            }
            Error::Status(status) => format!("Error from server ({}): {}", status.reason, status.message),
            other => other.to_string(),
        }
    }
}

fn line(text: &str) -> String {
    match text {
        "" => String::new(),
        text if text.ends_with('\n') => text.to_owned(),
        text => format!("{text}\n"),
    }
}

fn many(prefix: &str, all: &[String]) -> String {
    match all {
        [one] => format!("{prefix}{one}"),
        all => format!("{prefix}\n{}", all.iter().map(|e| format!("* {e}\n")).collect::<String>()),
    }
}

fn invalid(status: &Status) -> String {
    let Some(details) = &status.details else {
        return format!("The request is invalid: {}", status.message);
    };
    let mut text = "The request is invalid".to_owned();
    if !details.kind.is_empty() || !details.name.is_empty() {
        text = format!("The {} {} is invalid", details.kind, crate::text::quote(&details.name));
    } else if details.causes.is_empty() && !status.message.is_empty() {
        text = format!("{text}: {}", status.message);
    }
    let mut causes: Vec<String> = Vec::new();
    for cause in &details.causes {
        let said = match cause.field.as_str() {
            "" => cause.message.clone(),
            field => format!("{field}: {}", cause.message),
        };
        if !causes.contains(&said) {
            causes.push(said);
        }
    }
    match causes.is_empty() {
        true => text,
        false => many(&format!("{text}: "), &causes),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Text(text) | Error::Plain(text) | Error::Connection(text) | Error::Exit(_, text) => {
                f.write_str(text)
            }
            Error::Status(status) => f.write_str(&status.message),
            Error::NoMatch { resource, group, version } => {
                write!(f, "the server doesn't have a resource type \"{resource}\"")?;
                match (group.as_str(), version.as_str()) {
                    ("", "") => Ok(()),
                    (group, "") => write!(f, " in group \"{group}\""),
                    ("", version) => write!(f, " in version \"{version}\""),
                    (group, version) => write!(f, " in group \"{group}\" and version \"{version}\""),
                }
            }
            Error::Configuration(all) => f.write_str(&all.join(", ")),
            Error::Many(all) => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", all.join(", "))
            }
            Error::Silent(_) => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Error::Status(Box::new(status))
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Error::Text(text)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Error::Text(text.to_owned())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        // Who reads us has gone: nothing is left to be said.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Error::Silent(1);
        }
        Error::Text(error.to_string())
    }
}

/// An error of the file system in Go's words: `open x: no such file or directory`.
pub fn io(doing: &str, path: &str, error: &std::io::Error) -> Error {
    Error::Text(format!("{doing} {path}: {}", reason(error)))
}

/// The reason alone, in the words of libc, which Go shares in lower case.
pub fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_lowercase(),
        None => error.to_string(),
    }
}
