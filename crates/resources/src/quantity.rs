//! Quantities of built-in kinds as numbers, and lists of them that add up.

use std::collections::BTreeMap;

use apimachinery::Quantity;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

/// As in `resources.requests`: the resource's name and how much of it.
pub type ResourceList = BTreeMap<String, Text>;

/// A quantity as kinds carry it: text.
pub trait QuantityExt {
    /// The number. Zero when the text is none: validation refuses such objects before they are stored.
    fn amount(&self) -> Quantity;
}

impl QuantityExt for Text {
    fn amount(&self) -> Quantity {
        Quantity::parse(&self.0).unwrap_or(Quantity::ZERO)
    }
}

/// The canonical text of a number.
pub fn text(amount: Quantity) -> Text {
    Text(amount.to_string())
}

/// Amounts by resource; a resource that is not there is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts(pub BTreeMap<String, Quantity>);

impl Amounts {
    /// Reads a list; an absent one is empty.
    pub fn of(list: Option<&ResourceList>) -> Self {
        Amounts(list.into_iter().flatten().map(|(k, v)| (k.clone(), v.amount())).collect())
    }

    /// The amount of `resource`, zero when absent.
    pub fn get(&self, resource: &str) -> Quantity {
        self.0.get(resource).copied().unwrap_or(Quantity::ZERO)
    }

    /// CPU in thousandths of a core.
    pub fn milli_cpu(&self) -> i64 {
        self.get("cpu").milli_value()
    }

    /// Memory in bytes.
    pub fn memory(&self) -> i64 {
        self.get("memory").value()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `other`, resource by resource.
    pub fn add(&mut self, other: &Amounts) {
        for (resource, amount) in &other.0 {
            *self.0.entry(resource.clone()).or_default() += *amount;
        }
    }

    /// Takes the larger of both, resource by resource.
    pub fn raise_to(&mut self, other: &Amounts) {
        for (resource, amount) in &other.0 {
            let mine = self.0.entry(resource.clone()).or_insert(*amount);
            *mine = (*mine).max(*amount);
        }
    }

    /// As kinds carry it.
    pub fn to_list(&self) -> ResourceList {
        self.0.iter().map(|(k, v)| (k.clone(), text(*v))).collect()
    }
}

/// Rounds up to thousandths and rewrites in canonical form, as upstream does with every resource list it reads.
/// What is no quantity stays for validation to name.
pub fn canonicalize(list: Option<&mut ResourceList>) {
    for value in list.into_iter().flat_map(|l| l.values_mut()) {
        if let Ok(amount) = Quantity::parse(&value.0) {
            *value = text(amount.round_up(-3));
        }
    }
}

/// [`canonicalize`] for both halves.
pub fn canonicalize_requirements(
    requirements: Option<&mut k8s_openapi::api::core::v1::ResourceRequirements>,
) {
    if let Some(requirements) = requirements {
        canonicalize(requirements.limits.as_mut());
        canonicalize(requirements.requests.as_mut());
    }
}

#[cfg(test)]
mod tests;
