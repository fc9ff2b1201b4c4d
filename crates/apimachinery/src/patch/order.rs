//! Where the elements of a merged list go: the patch's order among its own, the server's order where both know.

use serde_json::Value;

use super::Failure;
use super::strategic::merge_value;

/// Elements that `wanted` names come in its order; the others (the server's own) in that of `before`, in between where
/// `before` says so.
pub(super) fn arrange(
    merged: Vec<Value>,
    wanted: &[Value],
    before: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, Failure> {
    let wanted = identities(wanted, key)?;
    let before = identities(before, key)?;
    let mut patched = Vec::new();
    let mut own = Vec::new();
    for element in merged {
        let identity = identity(&element, key)?.clone();
        match position(&wanted, &identity) {
            Some(at) => patched.push((at, identity, element)),
            None => own.push((position(&before, &identity), identity, element)),
        }
    }
    patched.sort_by_key(|(at, ..)| *at);
    own.sort_by_key(|(at, ..)| at.unwrap_or(usize::MAX));

    let mut out = Vec::with_capacity(patched.len() + own.len());
    let mut own = own.into_iter().peekable();
    for (_, identity, element) in patched {
        let place = position(&before, &identity);
        while let Some((Some(at), ..)) = own.peek()
            && place.is_some_and(|place| *at < place)
        {
            out.extend(own.next().map(|(.., element)| element));
        }
        out.push(element);
    }
    out.extend(own.map(|(.., element)| element));
    Ok(out)
}

/// The elements that a patch brings must stand in its `$setElementOrder` list, in the same order.
pub(super) fn check_patch_against(
    patch: &[Value],
    wanted: &[Value],
    key: Option<&str>,
) -> Result<(), Failure> {
    let mut rest = identities(wanted, key)?.into_iter();
    for element in patch.iter().filter(|e| e.get("$patch").is_none()) {
        let wanted_identity = identity(element, key)?;
        if !rest.any(|candidate| candidate == wanted_identity) {
            let list = |values: &[Value]| Value::from(values.to_vec()).to_string();
            return Err(Failure::Other(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                list(patch),
                list(wanted)
            )));
        }
    }
    Ok(())
}

fn identities<'v>(list: &'v [Value], key: Option<&str>) -> Result<Vec<&'v Value>, Failure> {
    list.iter().map(|element| identity(element, key)).collect()
}

/// What tells an element from the others: its merge key's value, or the element itself.
fn identity<'v>(element: &'v Value, key: Option<&str>) -> Result<&'v Value, Failure> {
    match key {
        Some(key) if element.is_object() => merge_value(element, key),
        _ => Ok(element),
    }
}

fn position(list: &[&Value], wanted: &Value) -> Option<usize> {
    list.iter().position(|v| *v == wanted)
}
