//! What controllers make pods from; alone, pod templates are kept for whoever asks for them.

use apimachinery::field::{ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PodTemplate, PodTemplateSpec};
use serde_json::{Value, json};

use crate::columns::{NAME, containers, text};
use crate::core::pod;
use crate::desired;
use crate::selector::show_labels;
use crate::strategy::{Column, Part};

/// The rules of pod templates.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = PodTemplate;

    fn default(&self, template: &mut PodTemplate) {
        pod::defaults::template(template.template.get_or_insert_default());
    }

    fn prepare_create(&self, template: &mut PodTemplate) {
        template.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut PodTemplate, old: &PodTemplate, _: Part) {
        desired::bump_generation(new, old, "template");
    }

    fn validate(&self, template: &PodTemplate) -> ErrorList {
        validate(&template.template.clone().unwrap_or_default(), &Path::new("template"))
    }

    fn warnings(&self, template: &PodTemplate) -> Vec<String> {
        let template = template.template.as_ref();
        template.map(|t| pod::warnings::of_template_at(t, &Path::new("template"))).unwrap_or_default()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Containers", "Names of each container in the template."),
            text("Images", "Images referenced by each container in the template."),
            text("Pod Labels", "The labels for the pod template."),
        ];
        COLUMNS
    }

    fn row(&self, template: &PodTemplate, _: Timestamp) -> Vec<Value> {
        let (names, images) = containers(template.template.as_ref());
        let labels = template.template.as_ref().and_then(|t| t.metadata.as_ref()?.labels.as_ref());
        vec![json!(template.name()), json!(names), json!(images), json!(show_labels(labels))]
    }
}

/// The value of the `pod-template-hash` label: short, stable, and different for every collision count.
pub fn hash(template: &PodTemplateSpec, collision_count: Option<i32>) -> String {
    let carrier = PodTemplate { template: Some(template.clone()), ..PodTemplate::default() };
    let mut hash = fnv32a(FNV_OFFSET, &carrier.to_json());
    if let Some(count) = collision_count {
        hash = fnv32a(hash, &u64::from(count.unsigned_abs()).to_le_bytes());
    }
    safe_text(hash)
}

const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

fn fnv32a(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |hash, b| (hash ^ u32::from(*b)).wrapping_mul(FNV_PRIME))
}

/// Decimal digits in an alphabet without vowels or look-alikes, so that no word is spelled by accident.
fn safe_text(hash: u32) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// Name parts of generated objects, in the same alphabet as upstream's: `random` gives each a number below the bound.
pub fn name_suffix(mut random: impl FnMut(usize) -> usize) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).map(|_| char::from(ALPHABET[random(ALPHABET.len()) % ALPHABET.len()])).collect()
}

/// Labels, annotations and the pod's spec.
pub fn validate(template: &PodTemplateSpec, path: &Path) -> ErrorList {
    super::pod::validation::template(template, path)
}

#[cfg(test)]
mod tests;
