//! Sets of field paths, as managed fields keep them (`FieldsV1`).
//!
//! Contract: <https://kubernetes.io/docs/reference/using-api/server-side-apply/> and sigs.k8s.io/structured-merge-diff

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use crate::raw::Raw;

mod json;
#[cfg(test)]
mod tests;

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// A struct's field or a map's key.
    Field(Box<str>),
    /// An element of a list, named by some of its fields, in the order of their names.
    Key(Box<[(Box<str>, Value)]>),
    /// An element of a set.
    Value(Value),
    /// An element of a list by its place; read, never written by us.
    Index(i64),
}

/// A set of paths. A path's presence says nothing about the paths below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSet {
    /// Sorted by element; none without meaning.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
struct Node {
    element: Element,
    /// The path that ends here is in the set.
    member: bool,
    below: FieldSet,
}

impl Element {
    pub fn field(name: &str) -> Self {
        Element::Field(name.into())
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.cmp(b),
            (Element::Key(a), Element::Key(b)) => {
                let pairs = a.iter().zip(b.iter());
                pairs
                    .map(|(x, y)| x.0.cmp(&y.0).then_with(|| compare(&x.1, &y.1)))
                    .find(|o| o.is_ne())
                    .unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Element::Value(a), Element::Value(b)) => compare(a, b),
            (Element::Index(a), Element::Index(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Element {}

impl Element {
    fn rank(&self) -> u8 {
        match self {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
            Element::Index(_) => 3,
        }
    }
}

/// Some total order of JSON values; equal exactly for equal ones.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => x.as_f64().partial_cmp(&y.as_f64()).unwrap_or(Ordering::Equal),
        },
        (a, b) if std::mem::discriminant(a) == std::mem::discriminant(b) => a.to_string().cmp(&b.to_string()),
        (a, b) => kind_rank(a).cmp(&kind_rank(b)),
    }
}

fn kind_rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

impl FieldSet {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a path. The empty path is not a member of any set.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.node(first.clone());
        match rest {
            [] => node.member = true,
            rest => node.below.insert(rest),
        }
    }

    /// Adds all paths of `set`, below `element`.
    pub fn insert_below(&mut self, element: Element, member: bool, set: FieldSet) {
        if !member && set.is_empty() {
            return;
        }
        let node = self.node(element);
        node.member |= member;
        node.below.absorb(set);
    }

    fn node(&mut self, element: Element) -> &mut Node {
        // Mostly they come in order.
        let at = match self.nodes.last() {
            Some(last) if last.element < element => Err(self.nodes.len()),
            None => Err(0),
            Some(_) => self.nodes.binary_search_by(|n| n.element.cmp(&element)),
        };
        let at = at.unwrap_or_else(|at| {
            self.nodes.insert(at, Node { element, member: false, below: FieldSet::new() });
            at
        });
        &mut self.nodes[at]
    }

    /// Adds all paths of `other`.
    pub fn absorb(&mut self, other: FieldSet) {
        if self.is_empty() {
            *self = other;
            return;
        }
        for Node { element, member, below } in other.nodes {
            self.insert_below(element, member, below);
        }
    }

    /// Removes all paths of `other`. Quick when `other` is small.
    pub fn remove_all(&mut self, other: &FieldSet) {
        for gone in &other.nodes {
            let Ok(at) = self.nodes.binary_search_by(|n| n.element.cmp(&gone.element)) else { continue };
            let node = &mut self.nodes[at];
            node.member &= !gone.member;
            node.below.remove_all(&gone.below);
            if !node.member && node.below.is_empty() {
                self.nodes.remove(at);
            }
        }
    }

    pub fn contains(&self, path: &[Element]) -> bool {
        match path.split_first() {
            None => false,
            Some((first, [])) => self.find(first).is_some_and(|n| n.member),
            Some((first, rest)) => self.find(first).is_some_and(|n| n.below.contains(rest)),
        }
    }

    /// The paths below `element`.
    pub fn below(&self, element: &Element) -> Option<&FieldSet> {
        self.find(element).map(|n| &n.below)
    }

    /// Whether the path of this one element is in the set.
    pub fn has(&self, element: &Element) -> bool {
        self.find(element).is_some_and(|n| n.member)
    }

    fn find(&self, element: &Element) -> Option<&Node> {
        let at = self.nodes.binary_search_by(|n| n.element.cmp(element)).ok()?;
        Some(&self.nodes[at])
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &FieldSet) -> FieldSet {
        let mut all = self.clone();
        all.absorb(other.clone());
        all
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        self.combine(other, |pair| match pair {
            (Some(a), Some(b)) => Some((a.member && b.member, a.below.intersection(&b.below))),
            _ => None,
        })
    }

    /// What is in this one only.
    #[must_use]
    pub fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut rest = self.clone();
        rest.remove_all(other);
        rest
    }

    /// What is in this one only, and not below a path of `other`.
    #[must_use]
    pub fn recursive_difference(&self, other: &FieldSet) -> FieldSet {
        self.combine(other, |pair| match pair {
            (Some(_), Some(b)) if b.member => None,
            (Some(a), Some(b)) => Some((a.member, a.below.recursive_difference(&b.below))),
            (Some(a), None) => Some((a.member, a.below.clone())),
            _ => None,
        })
    }

    fn combine(
        &self,
        other: &FieldSet,
        keep: impl Fn((Option<&Node>, Option<&Node>)) -> Option<(bool, FieldSet)>,
    ) -> FieldSet {
        let mut nodes = Vec::new();
        for (a, b) in Pairs::of(self, other) {
            if let Some(a) = a
                && let Some((member, below)) = keep((Some(a), b))
                && (member || !below.is_empty())
            {
                nodes.push(Node { element: a.element.clone(), member, below });
            }
        }
        FieldSet { nodes }
    }

    /// Paths below which the set has nothing.
    #[must_use]
    pub fn leaves(&self) -> FieldSet {
        let leaf = |n: &Node| Node {
            element: n.element.clone(),
            member: n.member && n.below.is_empty(),
            below: n.below.leaves(),
        };
        FieldSet { nodes: self.nodes.iter().map(leaf).collect() }
    }

    /// All paths, in order.
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut out = Vec::new();
        let mut path = Vec::new();
        self.collect_paths(&mut path, &mut out);
        out
    }

    fn collect_paths(&self, path: &mut Vec<Element>, out: &mut Vec<Vec<Element>>) {
        for node in &self.nodes {
            path.push(node.element.clone());
            if node.member {
                out.push(path.clone());
            }
            node.below.collect_paths(path, out);
            path.pop();
        }
    }

    /// Reads `FieldsV1` JSON.
    pub fn from_json(fields_v1: &str) -> Result<Self, String> {
        json::read(Raw::new(fields_v1), 0)
    }

    /// Reads `FieldsV1` that is already parsed.
    pub fn from_value(fields_v1: &Value) -> Result<Self, String> {
        json::read_value(fields_v1, 0)
    }

    /// As parsed `FieldsV1`.
    pub fn to_value(&self) -> Value {
        json::to_value(self, false)
    }

    /// As `FieldsV1` JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        json::write(self, false, &mut out);
        out
    }
}

/// Nodes of two sets, side by side in order.
struct Pairs<'a> {
    a: std::iter::Peekable<std::slice::Iter<'a, Node>>,
    b: std::iter::Peekable<std::slice::Iter<'a, Node>>,
}

impl<'a> Pairs<'a> {
    fn of(a: &'a FieldSet, b: &'a FieldSet) -> Self {
        Pairs { a: a.nodes.iter().peekable(), b: b.nodes.iter().peekable() }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Option<&'a Node>, Option<&'a Node>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.a.peek(), self.b.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.element.cmp(&b.element),
        };
        Some(match order {
            Ordering::Less => (self.a.next(), None),
            Ordering::Greater => (None, self.b.next()),
            Ordering::Equal => (self.a.next(), self.b.next()),
        })
    }
}

impl fmt::Display for Element {
    /// As messages show it: `.name`, `[name="x"]`, `[="x"]`, `[3]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(fields) => {
                let shown: Vec<String> = fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
                write!(f, "[{}]", shown.join(","))
            }
            Element::Value(value) => write!(f, "[={value}]"),
            Element::Index(at) => write!(f, "[{at}]"),
        }
    }
}
