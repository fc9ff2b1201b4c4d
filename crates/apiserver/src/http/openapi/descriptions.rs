//! What the API's authors say of types and fields. Packed into the binary by `build.rs`; unpacked while documents are made,
//! and dropped again.

use std::collections::HashMap;
use std::io::Read as _;

use flate2::read::GzDecoder;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.gz"));

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Descriptions {
    types: HashMap<String, Of>,
}

#[derive(Debug, Default)]
struct Of {
    text: String,
    fields: HashMap<String, String>,
}

impl Descriptions {
    /// Unpacks them.
    pub fn load() -> Self {
        let mut text = String::new();
        if let Err(error) = GzDecoder::new(PACKED).read_to_string(&mut text) {
            // It is part of the binary; documents without descriptions are better than none.
            tracing::warn!(%error, "cannot unpack the descriptions of fields");
        }
        let mut types: HashMap<String, Of> = HashMap::new();
        let mut of = String::new();
        for line in text.lines() {
            let mut parts = line.splitn(3, '\t');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(""), Some(field), Some(text)) => {
                    let known = types.entry(of.clone()).or_default();
                    known.fields.entry(field.to_owned()).or_insert_with(|| unescape(text));
                }
                (Some(name), Some(text), _) => {
                    of = name.to_owned();
                    types.entry(of.clone()).or_default().text = unescape(text);
                }
                _ => {}
            }
        }
        Descriptions { types }
    }

    /// Of a type, such as `io.k8s.api.core.v1.Pod`.
    pub fn of_type(&self, name: &str) -> Option<&str> {
        self.types.get(name).map(|of| &*of.text).filter(|t| !t.is_empty())
    }

    /// Of a field as JSON has it.
    pub fn of_field(&self, name: &str, field: &str) -> Option<&str> {
        self.types.get(name)?.fields.get(field).map(|t| &**t)
    }
}

/// A Rust string literal's text.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('u') => {
                    let code: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                }
                Some(c) => out.push(c),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_texts() {
        let all = Descriptions::load();
        let pod = all.of_type("io.k8s.api.core.v1.Pod").unwrap();
        assert!(pod.starts_with("Pod is a collection of containers"), "{pod}");
        for (of, field) in [
            ("io.k8s.api.core.v1.PodSpec", "containers"),
            ("io.k8s.api.apps.v1.DeploymentSpec", "template"),
            ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "name"),
        ] {
            assert!(all.of_field(of, field).is_some_and(|t| t.len() > 20), "{of} {field}");
        }
        assert_eq!(unescape(r#"a\n\"b\"\\ \u{e9}"#), "a\n\"b\"\\ é");
    }

    /// Every kind that we know has a text for each of its fields. (Of one kind's metadata the authors say nothing.)
    #[test]
    fn none_is_missing() {
        let all = Descriptions::load();
        let of = |k: &facts::Kind| k.type_of().name.starts_with("io.k8s.api.");
        let missing: Vec<String> = facts::kinds()
            .iter()
            .filter(|k| of(k) && all.types.contains_key(k.type_of().name))
            .flat_map(|k| k.type_of().fields().iter().map(|f| (k.type_of().name, f.name)))
            .filter(|(name, field)| *field != "metadata" && all.of_field(name, field).is_none())
            .map(|(name, field)| format!("{name}.{field}"))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
