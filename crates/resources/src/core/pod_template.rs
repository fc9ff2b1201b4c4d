//! What controllers make pods from.

use apimachinery::field::{ErrorList, Path};
use codec::Kind;
use k8s_openapi::api::core::v1::{PodTemplate, PodTemplateSpec};

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
