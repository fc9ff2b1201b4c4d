//! One kind's answers, as text and as a row of the table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use codec::schema;
use registry::Registry;
use resources::Resource;
use resources::strategy::{DEFAULT_COLUMNS, Part};
use serde_json::Value;

use crate::excuses::{Excuses, bare};
use crate::samples::Pair;
use crate::spoil::{self, Manner, Spoilt};
use crate::trial::{self, Outcome};

pub struct Census {
    resource: Resource,
    /// Fields that appear in the least object.
    defaults: Vec<String>,
    create: Vec<(Spoilt, Outcome)>,
    update: Vec<(Spoilt, Outcome)>,
    status: Vec<(Spoilt, Outcome)>,
    strategy: Vec<&'static str>,
    /// What stood in the way of the count itself.
    broken: Vec<String>,
}

impl Census {
    pub async fn take(registry: &Registry, resource: &Resource, pair: &Pair) -> Census {
        let mut census = Census {
            resource: resource.clone(),
            defaults: Vec::new(),
            create: Vec::new(),
            update: Vec::new(),
            status: Vec::new(),
            strategy: Vec::new(),
            broken: Vec::new(),
        };
        let schema = schema::of_kind(&resource.gvk).expect("a built-in kind has a type");
        match trial::create(registry, resource, &pair.least, true).await {
            Ok(made) => filled(&pair.least, &made, "", &mut census.defaults),
            Err(status) => census.broken.push(format!("the least sample: {status}")),
        }
        for spoilt in spoil::all(&pair.full, schema, Manner::Bad, |top| top != "status") {
            let outcome = Outcome::of(trial::create(registry, resource, &spoilt.object, true).await, &spoilt);
            census.create.push((spoilt, outcome));
        }
        let stored = match trial::create(registry, resource, &pair.full, false).await {
            Ok(stored) => stored,
            Err(status) => {
                census.broken.push(format!("the full sample: {status}"));
                return census;
            }
        };
        for spoilt in spoil::all(&stored, schema, Manner::Changed, |top| top != "status") {
            let done = trial::update(registry, resource, Part::Main, &spoilt.object).await;
            let outcome = Outcome::of(done, &spoilt);
            census.update.push((spoilt, outcome));
        }
        if resource.subresources.contains(&"status") {
            census.of_status(registry, pair, &stored).await;
        }
        census.of_strategy(registry, pair, &stored).await;
        trial::delete(registry, resource, stored["metadata"]["name"].as_str().unwrap_or_default()).await;
        census
    }

    async fn of_status(&mut self, registry: &Registry, pair: &Pair, stored: &Value) {
        let schema = schema::of_kind(&self.resource.gvk).expect("a built-in kind has a type");
        let mut object = stored.clone();
        object["status"] = pair.full["status"].clone();
        if object["status"].is_null() {
            self.broken.push("the full sample has no status".into());
        }
        if let Err(status) = trial::update(registry, &self.resource, Part::Status, &object).await {
            self.broken.push(format!("the full sample's status: {status}"));
        }
        for spoilt in spoil::all(&object, schema, Manner::Bad, |top| top == "status") {
            let done = trial::update(registry, &self.resource, Part::Status, &spoilt.object).await;
            let outcome = Outcome::of(done, &spoilt);
            self.status.push((spoilt, outcome));
        }
    }

    /// What the kind does to objects on their way, seen from outside.
    async fn of_strategy(&mut self, registry: &Registry, pair: &Pair, stored: &Value) {
        let has_status = !pair.full["status"].is_null();
        if has_status && stored["status"] != pair.full["status"] {
            self.strategy.push("create clears status");
        }
        if stored["metadata"]["generation"] == 1 {
            self.strategy.push("generation");
        }
        let status = self.resource.subresources.contains(&"status");
        if status && has_status {
            let mut object = stored.clone();
            object["status"] = pair.full["status"].clone();
            let main = trial::update(registry, &self.resource, Part::Main, &object).await;
            if main.is_ok_and(|made| made["status"] == stored["status"]) {
                self.strategy.push("main keeps status");
            }
            let kept = trial::update(registry, &self.resource, Part::Status, &object).await;
            if kept.is_ok_and(|made| made["status"] != stored["status"] && made["spec"] == stored["spec"]) {
                self.strategy.push("status keeps spec");
            }
        }
        if !self.resource.strategy.allow_unconditional_update() {
            self.strategy.push("update needs a version");
        }
        if self.resource.strategy.allow_create_on_update() {
            self.strategy.push("PUT creates");
        }
    }

    /// Everything that was said, for the file of the group.
    pub fn transcript(&self) -> String {
        let mut out = format!("## {}\n", self.resource.gvr.resource);
        let _ = writeln!(out, "defaults: {}", self.defaults.join(" "));
        for (part, said) in [("create", &self.create), ("update", &self.update), ("status", &self.status)] {
            if said.is_empty() {
                continue;
            }
            let _ = writeln!(out, "{part}:");
            let mut taken = [("accepted", Vec::new()), ("ignored", Vec::new())];
            for (spoilt, outcome) in said {
                match outcome {
                    Outcome::Accepted => taken[0].1.push(&*spoilt.what),
                    Outcome::Ignored => taken[1].1.push(&*spoilt.what),
                    Outcome::Refused(causes) => {
                        let _ = writeln!(out, "    {}", spoilt.what);
                        for (field, _, message) in causes {
                            let _ = writeln!(out, "        {field}: {message}");
                        }
                    }
                    Outcome::Other(status) => {
                        let _ = writeln!(out, "    {}\n        {} {status}", spoilt.what, status.code);
                    }
                }
            }
            for (how, what) in taken.iter().filter(|(_, what)| !what.is_empty()) {
                let _ = writeln!(out, "  {how}:");
                what.iter().for_each(|what| {
                    let _ = writeln!(out, "    {what}");
                });
            }
        }
        out + "\n"
    }

    /// What is not as it has to be, whatever is written down.
    pub fn faults(&self, excuses: &Excuses) -> Vec<String> {
        let kind = &self.name();
        let mut faults: Vec<String> = self.broken.iter().map(|why| format!("{kind}: {why}")).collect();
        for (spoilt, outcome) in self.create.iter().chain(&self.status) {
            if let (Outcome::Other(status), false) = (outcome, excuses.unreadable(kind, &spoilt.field)) {
                faults.push(format!("{kind}: {}: {} {status}", spoilt.what, status.code));
            }
        }
        for (spoilt, outcome) in self.create.iter().filter(|(spoilt, _)| spoilt.required) {
            let refused = matches!(outcome, Outcome::Refused(causes) if !causes.is_empty());
            let excused =
                excuses.may_be_empty(kind, &spoilt.field) || excuses.unreadable(kind, &spoilt.field);
            if !refused && !excused {
                faults.push(format!("{kind}: {} is not refused where it is required", spoilt.what));
            }
        }
        for (column, text) in self.cells() {
            match (text.is_empty(), excuses.of(kind, column)) {
                (true, None) => faults.push(format!("{kind}: nothing in the column {column}")),
                (false, Some(_)) => faults.push(format!("{kind}: {column} has something and is excused")),
                _ => {}
            }
        }
        faults
    }

    /// As excuses name it: further versions of a kind have their own.
    fn name(&self) -> String {
        let plural = &self.resource.gvr.resource;
        match self.resource.conversion {
            Some(_) => format!("{plural} as {}", self.resource.gvk.api_version()),
            None => plural.to_string(),
        }
    }

    fn cells(&self) -> Vec<(&'static str, String)> {
        let count = |n: usize| if n == 0 { String::new() } else { n.to_string() };
        let status = match self.resource.subresources.contains(&"status") {
            true => count(rules(&self.status).len()),
            false => "no status".into(),
        };
        let columns = match self.resource.strategy.columns().len() {
            n if n == DEFAULT_COLUMNS.len() => "name, age".into(),
            n => count(n),
        };
        vec![
            ("defaults", count(self.defaults.len())),
            ("create", count(rules(&self.create).len())),
            ("update", count(rules(&self.update).len())),
            ("status", status),
            ("strategy", self.strategy.join(", ")),
            ("columns", columns),
            ("fields", count(self.resource.strategy.field_names().len())),
        ]
    }
}

/// Distinct rules: which field, list places apart, and what is wrong with it.
fn rules(said: &[(Spoilt, Outcome)]) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (_, outcome) in said {
        if let Outcome::Refused(causes) = outcome {
            found.extend(causes.iter().map(|(field, reason, _)| (bare(field), reason.clone())));
        }
    }
    found
}

/// The fields that `made` has beyond `given`; of the metadata none.
fn filled(given: &Value, made: &Value, path: &str, out: &mut Vec<String>) {
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (given, made) {
        (_, Value::Object(fields)) => {
            for (name, value) in fields.iter().filter(|(n, _)| !path.is_empty() || *n != "metadata") {
                filled(given.get(name).unwrap_or(&Value::Null), value, &at(name), out);
            }
        }
        (Value::Array(given), Value::Array(made)) => {
            for (i, value) in made.iter().enumerate() {
                filled(given.get(i).unwrap_or(&Value::Null), value, &format!("{path}[{i}]"), out);
            }
        }
        (given, made) if given == made => {}
        (_, Value::String(text)) if text.parse::<jiff::Timestamp>().is_ok() => {
            out.push(format!("{path}=now"))
        }
        (_, made) => out.push(format!("{path}={made}")),
    }
}

/// The page of counts.
pub fn table(rows: &[Census], excuses: &Excuses) -> String {
    let mut out = String::from(HEAD);
    let mut total = (0, 0);
    for row in rows {
        let cells: Vec<String> = row
            .cells()
            .into_iter()
            .map(|(cell, text)| match excuses.of(&row.name(), cell) {
                Some(why) if text.is_empty() => format!("none: {why}"),
                _ => text,
            })
            .collect();
        let said = row.create.len() + row.update.len() + row.status.len();
        let refused = [&row.create, &row.update, &row.status]
            .into_iter()
            .flatten()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Refused(_)))
            .count();
        total = (total.0 + said, total.1 + refused);
        let (group, kind) = (row.resource.gvk.api_version(), &row.resource.gvr.resource);
        let _ = writeln!(out, "| {group} {kind} | {} | {refused} of {said} |", cells.join(" | "));
    }
    let _ =
        writeln!(out, "\n{} kinds; {} spoilt objects were tried, {} refused.", rows.len(), total.0, total.1);
    out
}

const HEAD: &str = "\
# Rules, counted

Written by `UPDATE_EXPECT=1 cargo test -p registry --test rules`, which fails when this is not what it counts. For each kind
two samples are spoilt, field by field, as the tables of fields know how, and given to the registry. What it said of each is in
`crates/registry/tests/rules/expected`.

- defaults: fields that the least object is given. Create, update, status: distinct rules (field and reason) that refused.
- strategy: what was seen to happen to an object on its way. Columns of `kubectl get -o wide`; fields of selectors besides
  name and namespace.
- refused: of all spoilt objects. The others are free text, or values that upstream takes as well.

| kind | defaults | create | update | status | strategy | columns | fields | refused |
|---|---|---|---|---|---|---|---|---|
";
