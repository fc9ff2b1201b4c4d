//! The samples, by kind.

use std::path::Path;

use apimachinery::Gvk;
use serde_json::Value;

/// The least that is accepted of a kind, and one with as many fields as go together.
pub struct Pair {
    pub least: Value,
    pub full: Value,
}

/// All samples.
pub struct Samples(Vec<Value>);

impl Samples {
    /// From the files in `folder`.
    pub fn read(folder: &Path) -> Samples {
        let mut samples = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for document in codec::yaml::documents(&text) {
                let value = codec::yaml::to_value(document.as_bytes());
                samples.push(value.unwrap_or_else(|e| panic!("{e}:\n{document}")));
            }
        }
        Samples(samples)
    }

    /// The samples of a kind, if it has two.
    pub fn of(&self, gvk: &Gvk) -> Option<Pair> {
        let version = gvk.api_version();
        let mut found =
            self.0.iter().filter(|value| value["apiVersion"] == version && value["kind"] == *gvk.kind);
        Some(Pair { least: found.next()?.clone(), full: found.next()?.clone() })
    }
}
