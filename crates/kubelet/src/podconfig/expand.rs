//! `$(VAR)` in env values, commands, args and subPathExpr.

/// Replaces `$(NAME)` by what `lookup` knows; an unknown one stays as it is. `$$` is a dollar.
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match lookup(name) {
                Some(value) => out.push_str(&value),
                None => out.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// As [`expand`], but a name that is unknown or stands for nothing is an error (subPathExpr): it would be the whole volume.
pub fn expand_strict(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let missing = std::cell::RefCell::new(None);
    let expanded = expand(text, &|name| {
        let value = lookup(name);
        if value.as_deref().is_none_or(str::is_empty) {
            missing.borrow_mut().get_or_insert_with(|| name.to_owned());
        }
        value
    });
    match missing.into_inner() {
        Some(name) => Err(format!("missing value for {name:?}")),
        None => Ok(expanded),
    }
}

#[cfg(test)]
mod tests;
