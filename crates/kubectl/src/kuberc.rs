//! Preferences of a user (`~/.kube/kuberc`, kubectl.config.k8s.io/v1beta1): other defaults for flags, other names for commands, and
//! which credential plugins may run. Start at [`load`]; [`Preferences::rewritten`] and [`Preferences::defaults_of`] are what they do.
//!
//! Contract: KEP-3104.

use std::path::PathBuf;

use serde_json::Value;

use crate::error::{self, Error, Result};

#[cfg(test)]
mod tests;

/// A flag and what it is unless the user says otherwise.
pub type Choice = (String, String);

/// Another name for a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alias {
    pub name: String,
    pub command: String,
    pub prepend: Vec<String>,
    pub append: Vec<String>,
    pub options: Vec<Choice>,
}

/// What a user prefers; by default nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preferences {
    defaults: Vec<(String, Vec<Choice>)>,
    aliases: Vec<Alias>,
    plugins: Plugins,
}

/// Which programs a kubeconfig may name for credentials.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Plugins {
    #[default]
    All,
    None,
    These(Vec<String>),
}

impl Plugins {
    /// As files call it.
    pub fn policy(&self) -> &'static str {
        match self {
            Plugins::All => "AllowAll",
            Plugins::None => "DenyAll",
            Plugins::These(_) => "Allowlist",
        }
    }

    pub fn allow(&self, command: &str) -> bool {
        match self {
            Plugins::All => true,
            Plugins::None => false,
            // A name alone is that program of the PATH, wherever a kubeconfig says that it is.
            Plugins::These(all) => all
                .iter()
                .filter(|a| !a.is_empty())
                .any(|a| a == command || program(a).is_some_and(|allowed| program(command) == Some(allowed))),
        }
    }
}

/// Where a program is.
fn program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return std::path::absolute(name).ok();
    }
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// The file that counts, and whether the user named it; none: preferences are off.
pub fn path(named: &str) -> Option<(PathBuf, bool)> {
    if !named.is_empty() {
        return Some((PathBuf::from(named), true));
    }
    if std::env::var("KUBECTL_KUBERC").is_ok_and(|v| v == "false") {
        return None;
    }
    match std::env::var("KUBERC").unwrap_or_default().as_str() {
        "off" => None,
        "" => Some((crate::config::home().join(".kube/kuberc"), false)),
        path => Some((PathBuf::from(path), true)),
    }
}

/// The preferences for a command line.
pub fn load(args: &[String]) -> Result<Preferences> {
    // What mends a broken file must not stumble over it.
    if args.iter().find(|a| !a.starts_with('-')).is_some_and(|a| a == "kuberc") {
        let named = flag(args);
        return match named.is_empty() || std::path::Path::new(&named).exists() {
            true => Ok(Preferences::default()),
            false => Err(Error::Plain(format!(
                "error occurred while applying preferences kuberc error kuberc: open {named}: no such file or directory"
            ))),
        };
    }
    let Some((path, named)) = path(&flag(args)) else { return Ok(Preferences::default()) };
    let said = |why: &str| Error::Plain(format!("error occurred while applying preferences {why}"));
    let shown = path.display().to_string();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => return Ok(Preferences::default()),
        Err(e) => return Err(said(&format!("kuberc error kuberc: {}", error::io("open", &shown, &e)))),
    };
    match parse(&bytes).map_err(|why| said(&why))? {
        Some(preferences) => Ok(preferences),
        None => {
            eprintln!("kuberc: no preferences loaded from {shown}: no valid preferences found in {shown}");
            Ok(Preferences::default())
        }
    }
}

/// What `--kuberc` says, before anybody knows which words are flags.
fn flag(args: &[String]) -> String {
    let mut words = args.iter().take_while(|a| *a != "--");
    while let Some(word) = words.next() {
        if let Some(value) = word.strip_prefix("--kuberc=") {
            return value.to_owned();
        }
        if word == "--kuberc" {
            return words.next().cloned().unwrap_or_default();
        }
    }
    String::new()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn list<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value[field].as_array().into_iter().flatten()
}

fn words(value: &Value, field: &str) -> Vec<String> {
    list(value, field).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The first document of a version that we know; none: there is no such document.
fn parse(bytes: &[u8]) -> std::result::Result<Option<Preferences>, String> {
    let file = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    for document in codec::yaml::documents(file) {
        let value =
            codec::yaml::to_value(document.as_bytes()).map_err(|e| crate::manifest::yaml_words(&e))?;
        let (defaults, options) = match text(&value, "apiVersion").as_str() {
            "kubectl.config.k8s.io/v1beta1" => ("defaults", "options"),
            "kubectl.config.k8s.io/v1alpha1" => ("overrides", "flags"),
            _ => continue,
        };
        if text(&value, "kind") == "Preference" {
            return read(&value, defaults, options).map(Some);
        }
    }
    Ok(None)
}

fn read(value: &Value, defaults: &str, options: &str) -> std::result::Result<Preferences, String> {
    let choices = |of: &Value| -> Vec<Choice> {
        list(of, options).map(|o| (text(o, "name"), text(o, "default"))).collect()
    };
    let policy = text(value, "credentialPluginPolicy");
    if policy != "Allowlist" && !value["credentialPluginAllowlist"].is_null() {
        return Err(format!(
            "misconfigured credential plugin allowlist: plugin policy is {} but allowlist is non-nil",
            crate::text::quote(&policy)
        ));
    }
    let plugins = match policy.as_str() {
        "" | "AllowAll" => Plugins::All,
        "DenyAll" => Plugins::None,
        "Allowlist" => Plugins::These(
            list(value, "credentialPluginAllowlist")
                .map(|e| match text(e, "command") {
                    command if command.is_empty() => text(e, "name"),
                    command => command,
                })
                .collect(),
        ),
        other => return Err(format!("unknown plugin policy: {}", crate::text::quote(other))),
    };
    let mut aliases: Vec<Alias> = Vec::new();
    for alias in list(value, "aliases") {
        let name = text(alias, "name");
        if name.is_empty() || text(alias, "command").is_empty() {
            return Err("an alias needs a name and a command".into());
        }
        if aliases.iter().any(|a| a.name == name) {
            return Err(format!("duplicate alias name {name}"));
        }
        aliases.push(Alias {
            name,
            command: text(alias, "command"),
            prepend: words(alias, "prependArgs"),
            append: words(alias, "appendArgs"),
            options: choices(alias),
        });
    }
    let defaults = list(value, defaults).map(|d| (text(d, "command"), choices(d))).collect();
    Ok(Preferences { defaults, aliases, plugins })
}

impl Preferences {
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    pub fn aliases(&self) -> impl Iterator<Item = &Alias> {
        self.aliases.iter()
    }

    fn alias(&self, name: &str) -> Option<&Alias> {
        self.aliases.iter().find(|a| a.name == name)
    }

    /// The other defaults of a command's flags.
    pub fn defaults_of(&self, path: &str) -> impl Iterator<Item = &Choice> {
        self.defaults.iter().filter(move |(command, _)| command == path).flat_map(|(_, choices)| choices)
    }

    /// The words with an alias at `at` told in full: the command and what comes before the user's own words, then what comes after.
    /// A flag that the user gives too is the user's.
    pub fn rewritten(&self, words: &[String], at: usize) -> Option<Vec<String>> {
        let alias = self.alias(words.get(at)?)?;
        let mut out = words[..at].to_vec();
        out.extend(alias.command.split_whitespace().map(str::to_owned));
        out.extend(alias.prepend.iter().cloned());
        // The last one given counts, and these stand before the user's.
        out.extend(alias.options.iter().map(|(name, value)| format!("--{name}={value}")));
        out.extend(words[at + 1..].iter().cloned());
        out.extend(alias.append.iter().cloned());
        Some(out)
    }
}
