//! `config`: kubeconfig files looked at and changed.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::config::{LISTS, paths, read, write};
use crate::error::{Error, Result, io};
use crate::print::Printer;
use crate::session::Session;
use crate::text::columns::Columns;

/// The file that holds an entry, or else the one that new things go to.
fn file_for(session: &Session, list: &str, name: &str) -> Result<(PathBuf, Value)> {
    let config = session.config_lenient()?;
    for (path, value) in &config.files {
        let holds = match list {
            "" => value[name].as_str().is_some_and(|v| !v.is_empty()),
            list => value[list].as_array().is_some_and(|l| l.iter().any(|e| e["name"] == name)),
        };
        if holds {
            return Ok((path.clone(), value.clone()));
        }
    }
    destination(session)
}

/// The file that new things go to: the first that exists, or the last.
fn destination(session: &Session) -> Result<(PathBuf, Value)> {
    let (all, _) = paths(&session.call);
    let path = all.iter().find(|p| p.exists()).or(all.last()).cloned().unwrap_or_default();
    let value = if path.exists() { read(&path)? } else { json!({}) };
    Ok((path, value))
}

/// The entry by that name in a file's list; made where it is not.
fn entry<'v>(file: &'v mut Value, list: &str, one: &str, name: &str) -> Option<&'v mut Value> {
    if !file[list].is_array() {
        file[list] = json!([]);
    }
    let entries = file[list].as_array_mut()?;
    let at = match entries.iter().position(|e| e["name"] == name) {
        Some(at) => at,
        None => {
            entries.push(json!({ "name": name, one: {} }));
            entries.len() - 1
        }
    };
    let found = &mut entries[at][one];
    if !found.is_object() {
        *found = json!({});
    }
    Some(found)
}

fn one_name<'s>(session: &'s Session, what: &str) -> Result<&'s str> {
    match &session.call.args[..] {
        [name] if !name.is_empty() => Ok(name),
        args => {
            let _ = (args, what);
            Err(Error::usage(
                session.call.path(),
                format!("Unexpected args: [{}]", session.call.args.join(" ")),
            ))
        }
    }
}

pub fn view(session: &Session) -> Result<()> {
    let call = &session.call;
    let config = session.config_lenient()?;
    if !call.is("merge") && call.text("kubeconfig").is_empty() {
        return Err(Error::text("if merge==false a precise file must be specified"));
    }
    let mut value = config.merged();
    if !call.text("context").is_empty() {
        value["current-context"] = json!(call.text("context"));
    }
    if call.is("minify") {
        minify(&mut value)?;
    }
    if call.is("flatten") {
        flatten(&mut value)?;
    }
    if !call.is("raw") && !call.is("flatten") {
        hide(&mut value);
    }
    let mut printer = match Printer::named(call, call.text("output"), false)? {
        Some(printer) => printer,
        None => return Ok(()),
    };
    if call.text("output") == "json" {
        return session.println(&ordered(&value));
    }
    session.print(&printer.text(&value)?)
}

const ORDER: &[&str] = &[
    "kind",
    "apiVersion",
    "preferences",
    "name",
    "cluster",
    "user",
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority",
    "certificate-authority-data",
    "proxy-url",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "token",
    "tokenFile",
    "as",
    "username",
    "password",
    "clusters",
    "users",
    "contexts",
    "current-context",
    "context",
    "namespace",
];

/// JSON with the fields where Go's types have them.
fn ordered(value: &Value) -> String {
    fn write(out: &mut String, value: &Value, depth: usize) {
        let pad = "    ".repeat(depth + 1);
        match value {
            Value::Object(map) if !map.is_empty() => {
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort_by_key(|k| ORDER.iter().position(|o| o == k).unwrap_or(ORDER.len()));
                out.push_str("{\n");
                for (at, key) in keys.iter().enumerate() {
                    out.push_str(if at > 0 { ",\n" } else { "" });
                    out.push_str(&pad);
                    crate::print::json::string(out, key);
                    out.push_str(": ");
                    write(out, &map[*key], depth + 1);
                }
                out.push_str(&format!("\n{}}}", "    ".repeat(depth)));
            }
            Value::Array(list) if !list.is_empty() => {
                out.push_str("[\n");
                for (at, item) in list.iter().enumerate() {
                    out.push_str(if at > 0 { ",\n" } else { "" });
                    out.push_str(&pad);
                    write(out, item, depth + 1);
                }
                out.push_str(&format!("\n{}]", "    ".repeat(depth)));
            }
            other => out.push_str(&crate::print::json::compact(other)),
        }
    }
    let mut out = String::new();
    write(&mut out, value, 0);
    out
}

/// Only what the current context needs.
fn minify(value: &mut Value) -> Result<()> {
    let current = value["current-context"].as_str().unwrap_or_default().to_owned();
    if current.is_empty() {
        return Err(Error::text("current-context must exist in order to minify"));
    }
    let find = |list: &Value, name: &str| -> Option<Value> {
        list.as_array()?.iter().find(|e| e["name"] == name).cloned()
    };
    let Some(context) = find(&value["contexts"], &current) else {
        return Err(Error::text(format!("cannot locate context {current}")));
    };
    let name = |field: &str| context["context"][field].as_str().unwrap_or_default().to_owned();
    let (cluster, user) = (name("cluster"), name("user"));
    value["clusters"] = find(&value["clusters"], &cluster).map_or(Value::Null, |c| json!([c]));
    value["users"] = find(&value["users"], &user).map_or(Value::Null, |u| json!([u]));
    value["contexts"] = json!([context]);
    Ok(())
}

/// Files' contents in the place of their names.
fn flatten(value: &mut Value) -> Result<()> {
    for (list, one) in LISTS {
        for entry in value[list].as_array_mut().into_iter().flatten() {
            let Some(map) = entry[one].as_object_mut() else { continue };
            for field in ["certificate-authority", "client-certificate", "client-key"] {
                let Some(path) = map.get(field).and_then(Value::as_str).map(str::to_owned) else { continue };
                let bytes = std::fs::read(&path).map_err(|e| io("open", &path, &e))?;
                map.remove(field);
                map.insert(format!("{field}-data"), json!(STANDARD.encode(bytes)));
            }
        }
    }
    Ok(())
}

/// Secrets are not shown.
fn hide(value: &mut Value) {
    for (list, one) in LISTS {
        for entry in value[list].as_array_mut().into_iter().flatten() {
            let Some(map) = entry[one].as_object_mut() else { continue };
            for (field, shown) in [
                ("certificate-authority-data", "DATA+OMITTED"),
                ("client-certificate-data", "DATA+OMITTED"),
                ("client-key-data", "DATA+OMITTED"),
                ("token", "REDACTED"),
                ("password", "REDACTED"),
            ] {
                if let Some(found) = map.get_mut(field) {
                    *found = json!(shown);
                }
            }
        }
    }
}

pub fn current_context(session: &Session) -> Result<()> {
    match session.config_lenient()?.current.as_str() {
        "" => Err(Error::text("current-context is not set")),
        name => session.println(name),
    }
}

pub fn get_clusters(session: &Session) -> Result<()> {
    names(session, session.config_lenient()?.clusters.keys().cloned().collect())
}

pub fn get_users(session: &Session) -> Result<()> {
    names(session, session.config_lenient()?.users.keys().cloned().collect())
}

fn names(session: &Session, names: Vec<String>) -> Result<()> {
    session.println("NAME")?;
    session.print(&names.into_iter().map(|n| format!("{n}\n")).collect::<String>())
}

pub fn get_contexts(session: &Session) -> Result<()> {
    let call = &session.call;
    let config = session.config_lenient()?;
    let output = call.text("output");
    if !matches!(output, "" | "name") {
        return Err(Error::text(format!(
            "--output {output} is not available in kubectl config get-contexts; resetting to default output format"
        )));
    }
    let mut failed = Vec::new();
    let wanted: Vec<String> = match call.args.is_empty() {
        true => config.contexts.keys().cloned().collect(),
        false => call.args.clone(),
    };
    let mut found: Vec<&String> = Vec::new();
    for name in &wanted {
        match config.contexts.contains_key(name) {
            true => found.push(name),
            false => failed.push(Error::text(format!("context {name} not found"))),
        }
    }
    if output == "name" {
        session.print(&found.iter().map(|n| format!("{n}\n")).collect::<String>())?;
        return crate::verbs::create::outcome(failed);
    }
    let mut table = Columns::table();
    if !call.is("no-headers") {
        table.push("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
    }
    for name in found {
        let text = |f: &str| config.contexts[name].value[f].as_str().unwrap_or_default().to_owned();
        let mark = if *name == config.current { "*" } else { "" };
        table.push(&format!(
            "{mark}\t{name}\t{}\t{}\t{}\n",
            text("cluster"),
            text("user"),
            text("namespace")
        ));
    }
    session.print(&table.finish())?;
    crate::verbs::create::outcome(failed)
}

pub fn use_context(session: &Session) -> Result<()> {
    let name = one_name(session, "name")?.to_owned();
    if !session.config_lenient()?.contexts.contains_key(&name) {
        return Err(Error::text(format!("no context exists with the name: \"{name}\"")));
    }
    let (path, mut value) = file_for(session, "", "current-context")?;
    value["current-context"] = json!(name);
    write(&path, &value)?;
    session.println(&format!("Switched to context \"{name}\"."))
}

pub fn delete_cluster(session: &Session) -> Result<()> {
    remove(session, "clusters", "cluster")
}

pub fn delete_context(session: &Session) -> Result<()> {
    let name = one_name(session, "name")?.to_owned();
    if session.config_lenient()?.current == name {
        eprintln!(
            "warning: this removed your active context, use \"kubectl config use-context\" to select a different one"
        );
    }
    remove(session, "contexts", "context")
}

pub fn delete_user(session: &Session) -> Result<()> {
    remove(session, "users", "user")
}

fn remove(session: &Session, list: &str, one: &str) -> Result<()> {
    let name = one_name(session, "name")?.to_owned();
    let (path, mut value) = file_for(session, list, &name)?;
    let shown = path.display();
    let entries = value[list].as_array_mut();
    let before = entries.as_ref().map_or(0, |e| e.len());
    let after = entries.map_or(0, |e| {
        e.retain(|e| e["name"] != name);
        e.len()
    });
    if before == after {
        return Err(Error::text(format!("cannot delete {one} {name}, not in {shown}")));
    }
    write(&path, &value)?;
    session.println(&format!("deleted {one} {name} from {shown}"))
}

pub fn rename_context(session: &Session) -> Result<()> {
    let [old, new] = &session.call.args[..] else {
        return Err(Error::usage(
            "config rename-context",
            format!("Unexpected args: [{}]", session.call.args.join(" ")),
        ));
    };
    let config = session.config_lenient()?;
    if !config.contexts.contains_key(old) {
        return Err(Error::text(format!(
            "cannot rename the context \"{old}\", it's not in {}",
            file_for(session, "contexts", old)?.0.display()
        )));
    }
    if config.contexts.contains_key(new) {
        return Err(Error::text(format!(
            "cannot rename the context \"{old}\", the context \"{new}\" already exists in {}",
            file_for(session, "contexts", new)?.0.display()
        )));
    }
    let (path, mut value) = file_for(session, "contexts", old)?;
    for entry in value["contexts"].as_array_mut().into_iter().flatten().filter(|e| e["name"] == **old) {
        entry["name"] = json!(new);
    }
    if value["current-context"] == **old {
        value["current-context"] = json!(new);
    }
    write(&path, &value)?;
    session.println(&format!("Context \"{old}\" renamed to \"{new}\"."))
}

pub fn set_cluster(session: &Session) -> Result<()> {
    let call = &session.call;
    let name = one_name(session, "name")?.to_owned();
    if call.is("insecure-skip-tls-verify") && !call.text("certificate-authority").is_empty() {
        return Err(Error::text(
            "you cannot specify a certificate authority and insecure mode at the same time",
        ));
    }
    let embed = call.is("embed-certs");
    let (path, mut value) = file_for(session, "clusters", &name)?;
    let Some(cluster) = entry(&mut value, "clusters", "cluster", &name) else { return Ok(()) };
    for flag in ["server", "tls-server-name", "proxy-url"] {
        put(cluster, flag, call.changed(flag).then(|| json!(call.text(flag))));
    }
    if call.changed("insecure-skip-tls-verify") {
        let on = call.is("insecure-skip-tls-verify");
        put(cluster, "insecure-skip-tls-verify", Some(if on { json!(true) } else { json!("") }));
        if on {
            put(cluster, "certificate-authority", Some(json!("")));
            put(cluster, "certificate-authority-data", Some(json!("")));
        }
    }
    file(cluster, "certificate-authority", call.text("certificate-authority"), embed)?;
    write(&path, &value)?;
    session.println(&format!("Cluster \"{name}\" set."))
}

/// Sets a field; an empty text takes it away.
fn put(entry: &mut Value, field: &str, value: Option<Value>) {
    let Some(map) = entry.as_object_mut() else { return };
    match value {
        Some(Value::String(text)) if text.is_empty() => drop(map.remove(field)),
        Some(value) => drop(map.insert(field.to_owned(), value)),
        None => {}
    }
}

fn file(entry: &mut Value, field: &str, path: &str, embed: bool) -> Result<()> {
    if path.is_empty() {
        return Ok(());
    }
    let data = format!("{field}-data");
    if embed {
        let bytes = std::fs::read(path).map_err(|e| {
            Error::text(format!("could not stat {field} file {path}: {}", io("stat", path, &e)))
        })?;
        put(entry, &data, Some(json!(STANDARD.encode(bytes))));
        put(entry, field, Some(json!("")));
    } else {
        let full = std::path::absolute(path)?;
        put(entry, field, Some(json!(full.display().to_string())));
        put(entry, &data, Some(json!("")));
    }
    Ok(())
}

pub fn set_context(session: &Session) -> Result<()> {
    let call = &session.call;
    let name = match (call.is("current"), &call.args[..]) {
        (true, []) => match session.config_lenient()?.current.as_str() {
            "" => return Err(Error::text("no current context is set")),
            current => current.to_owned(),
        },
        (false, [name]) => name.clone(),
        (false, []) => return Err(Error::text("you must specify a non-empty context name or --current")),
        _ => {
            return Err(Error::usage(
                "config set-context",
                format!("Unexpected args: [{}]", call.args.join(" ")),
            ));
        }
    };
    let known = session.config_lenient()?.contexts.contains_key(&name);
    let (path, mut value) = file_for(session, "contexts", &name)?;
    let Some(context) = entry(&mut value, "contexts", "context", &name) else { return Ok(()) };
    for flag in ["cluster", "user", "namespace"] {
        put(context, flag, call.changed(flag).then(|| json!(call.text(flag))));
    }
    for field in ["cluster", "user"] {
        if context[field].is_null() {
            context[field] = json!("");
        }
    }
    write(&path, &value)?;
    session.println(&format!("Context \"{name}\" {}.", if known { "modified" } else { "created" }))
}

pub fn set_credentials(session: &Session) -> Result<()> {
    let call = &session.call;
    let name = one_name(session, "name")?.to_owned();
    if !(call.text("token").is_empty()
        || call.text("username").is_empty() && call.text("password").is_empty())
    {
        return Err(Error::text(
            "you cannot specify more than one authentication method at the same time: --token, --username/--password",
        ));
    }
    let embed = call.is("embed-certs");
    let (path, mut value) = file_for(session, "users", &name)?;
    let Some(user) = entry(&mut value, "users", "user", &name) else { return Ok(()) };
    for flag in ["token", "username", "password"] {
        put(user, flag, call.changed(flag).then(|| json!(call.text(flag))));
    }
    if call.changed("token") {
        put(user, "tokenFile", Some(json!("")));
    }
    file(user, "client-certificate", call.text("client-certificate"), embed)?;
    file(user, "client-key", call.text("client-key"), embed)?;
    exec(session, user)?;
    auth_provider(session, user)?;
    write(&path, &value)?;
    session.println(&format!("User \"{name}\" set."))
}

fn exec(session: &Session, user: &mut Value) -> Result<()> {
    let call = &session.call;
    let used = ["exec-command", "exec-api-version", "exec-arg", "exec-env"].iter().any(|f| call.changed(f));
    if !used {
        return Ok(());
    }
    let exec = &mut user["exec"];
    if !exec.is_object() {
        *exec = json!({ "command": "", "args": null, "env": null, "provideClusterInfo": false });
    }
    for (flag, field) in [
        ("exec-command", "command"),
        ("exec-api-version", "apiVersion"),
        ("exec-interactive-mode", "interactiveMode"),
    ] {
        put(exec, field, call.changed(flag).then(|| json!(call.text(flag))));
    }
    if call.changed("exec-arg") {
        exec["args"] = json!(call.list("exec-arg"));
    }
    if call.changed("exec-provide-cluster-info") {
        exec["provideClusterInfo"] = json!(call.is("exec-provide-cluster-info"));
    }
    let mut env = exec["env"].as_array().cloned().unwrap_or_default();
    for pair in call.list("exec-env") {
        match (pair.split_once('='), pair.strip_suffix('-')) {
            (Some((name, value)), _) => {
                env.retain(|e| e["name"] != name);
                env.push(json!({ "name": name, "value": value }));
            }
            (None, Some(name)) => env.retain(|e| e["name"] != name),
            _ => {
                return Err(Error::text(format!(
                    "invalid --exec-env \"{pair}\": it must be NAME=VALUE or NAME-"
                )));
            }
        }
    }
    exec["env"] = if env.is_empty() { Value::Null } else { json!(env) };
    Ok(())
}

/// What an auth provider of old is told. No kubectl has any of them today: the entry is kept for whoever reads the file.
fn auth_provider(session: &Session, user: &mut Value) -> Result<()> {
    let call = &session.call;
    if !call.changed("auth-provider") && !call.changed("auth-provider-arg") {
        return Ok(());
    }
    let (mut given, mut gone) = (Map::new(), Vec::new());
    for pair in call.list("auth-provider-arg") {
        match (pair.split_once('='), pair.strip_suffix('-')) {
            (Some((name, value)), _) => drop(given.insert(name.to_owned(), json!(value))),
            (None, Some(name)) => gone.push(name.to_owned()),
            _ => return Err(Error::text(format!("invalid auth-provider-arg format: {pair}"))),
        }
    }
    if call.changed("auth-provider") {
        // Another provider begins anew, the same one keeps what is known.
        if user["auth-provider"]["name"] != call.text("auth-provider") {
            user["auth-provider"] = json!({});
        }
        user["auth-provider"]["name"] = json!(call.text("auth-provider"));
    }
    if !user["auth-provider"].is_object() {
        return Ok(());
    }
    let mut config = user["auth-provider"]["config"].as_object().cloned().unwrap_or_default();
    config.extend(given);
    config.retain(|name, _| !gone.contains(name));
    let unknown = config.is_empty() && user["auth-provider"]["config"].is_null();
    user["auth-provider"]["config"] = if unknown { Value::Null } else { Value::Object(config) };
    Ok(())
}

/// The steps of a property's name. Names of entries may have dots: the longest that exists counts.
fn steps(file: &Value, property: &str) -> Result<Vec<String>> {
    let wrong = || Error::text(format!("unable to parse {property} after [] at api.Config"));
    if property == "current-context" {
        return Ok(vec![property.to_owned()]);
    }
    let (list, rest) = property.split_once('.').unwrap_or((property, ""));
    if !LISTS.iter().any(|(l, _)| *l == list) {
        return Err(wrong());
    }
    if rest.is_empty() {
        return Ok(vec![list.to_owned()]);
    }
    let known = file[list].as_array().into_iter().flatten().filter_map(|e| e["name"].as_str());
    let mut known: Vec<&str> = known.filter(|n| rest == *n || rest.starts_with(&format!("{n}."))).collect();
    known.sort_by_key(|n| std::cmp::Reverse(n.len()));
    let name = known.first().copied().unwrap_or_else(|| rest.rsplit_once('.').map_or(rest, |(n, _)| n));
    let field = rest[name.len()..].trim_start_matches('.');
    let mut found = vec![list.to_owned(), name.to_owned()];
    if !field.is_empty() {
        found.push(field.to_owned());
    }
    Ok(found)
}

pub fn set(session: &Session) -> Result<()> {
    let call = &session.call;
    let [property, given] = &call.args[..] else {
        return Err(Error::usage("config set", format!("Unexpected args: [{}]", call.args.join(" "))));
    };
    let (path, mut value) = destination(session)?;
    let found = steps(&value, property)?;
    let mut given = given.clone();
    if call.is("set-raw-bytes") {
        given = STANDARD.encode(given.as_bytes());
    }
    match &found[..] {
        [one] if one == "current-context" => value["current-context"] = json!(given),
        [list, name, field] => {
            let Some((_, one)) = LISTS.iter().find(|(l, _)| l == list) else { return Ok(()) };
            let typed = match field.as_str() {
                "insecure-skip-tls-verify" | "disable-compression" => json!(given == "true"),
                _ => json!(given),
            };
            if let Some(entry) = entry(&mut value, list, one, name) {
                entry[field] = typed;
            }
        }
        _ => {
            return Err(Error::text(format!(
                "unable to parse {property}: a property of an entry is named as LIST.NAME.FIELD"
            )));
        }
    }
    write(&path, &value)?;
    session.println(&format!("Property \"{property}\" set."))
}

pub fn unset(session: &Session) -> Result<()> {
    let property = one_name(session, "property")?.to_owned();
    let (path, mut value) = destination(session)?;
    let found = steps(&value, &property)?;
    match &found[..] {
        [one] if one == "current-context" => value[one] = json!(""),
        [list] => value[list] = Value::Null,
        [list, name] => {
            if let Some(entries) = value[list].as_array_mut() {
                entries.retain(|e| e["name"] != **name);
            }
        }
        [list, name, field] => {
            let one = LISTS.iter().find(|(l, _)| l == list).map_or("", |(_, o)| o);
            let entries = value[list].as_array_mut().into_iter().flatten();
            for entry in entries.filter(|e| e["name"] == **name) {
                if let Some(map) = entry[one].as_object_mut().map(|m: &mut Map<String, Value>| m) {
                    map.remove(field);
                }
            }
        }
        _ => {}
    }
    write(&path, &value)?;
    session.println(&format!("Property \"{property}\" unset."))
}
