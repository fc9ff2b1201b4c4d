//! Defaulting of optional fields. An empty text counts as absent, as it does upstream.

/// Sets a text that is absent or empty.
pub fn text(field: &mut Option<String>, value: &str) {
    if field.as_deref().unwrap_or_default().is_empty() {
        *field = Some(value.into());
    }
}

/// Sets a number that is absent or zero.
pub fn number(field: &mut Option<i32>, value: i32) {
    if field.unwrap_or(0) == 0 {
        *field = Some(value);
    }
}

/// Turns an empty text into an absent one.
pub fn none_if_empty(field: &mut Option<String>) {
    if field.as_deref() == Some("") {
        *field = None;
    }
}
