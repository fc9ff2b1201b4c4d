//! Service CIDRs: ranges that services get their cluster addresses from.

use std::net::IpAddr;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Value, json};

use crate::columns::{AGE, NAME, text};
use crate::conditions;
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The one that the API server makes of its own ranges.
pub const DEFAULT: &str = "kubernetes";
/// Keeps a range while addresses of it are in use.
pub const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
const READY: &str = "Ready";
const IMMUTABLE: &str = "field is immutable";

/// What service CIDRs are asked.
pub trait ServiceCIDRExt {
    /// Its ranges, one or two.
    fn cidrs(&self) -> &[String];
    /// Whether addresses are given out of it.
    fn is_ready(&self) -> bool;
    /// Sets the condition Ready. False when it said so already.
    fn set_ready(&mut self, ready: bool, reason: &str, message: &str, now: Timestamp) -> bool;
}

impl ServiceCIDRExt for ServiceCIDR {
    fn cidrs(&self) -> &[String] {
        self.spec.as_ref().and_then(|s| s.cidrs.as_deref()).unwrap_or_default()
    }

    fn is_ready(&self) -> bool {
        let conditions = self.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.into_iter().any(|c| c.type_ == READY && c.status == "True")
    }

    fn set_ready(&mut self, ready: bool, reason: &str, message: &str, now: Timestamp) -> bool {
        let conditions = &mut self.status.get_or_insert_default().conditions;
        let before = conditions.clone();
        let condition = Condition {
            type_: READY.into(),
            status: if ready { "True" } else { "False" }.into(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: Time(now),
            observed_generation: None,
        };
        conditions::set_standard(conditions, condition);
        *conditions != before
    }
}

/// The rules of service CIDRs.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ServiceCIDR;

    fn prepare_create(&self, range: &mut ServiceCIDR) {
        range.status = None;
    }

    fn prepare_update(&self, new: &mut ServiceCIDR, old: &ServiceCIDR, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => new.status.clone_from(&old.status),
        }
    }

    fn validate(&self, range: &ServiceCIDR) -> ErrorList {
        cidr_errors(range.cidrs(), &Path::new("spec").child("cidrs"))
    }

    /// A range stays what it is, but for a second family beside the first.
    fn validate_update(&self, new: &ServiceCIDR, old: &ServiceCIDR, part: Part) -> ErrorList {
        let path = Path::new("spec").child("cidrs");
        let mut errs = ErrorList::new();
        if part != Part::Main {
            return errs;
        }
        match (old.cidrs(), new.cidrs()) {
            (before, after) if before.len() == after.len() => {
                for (i, (before, after)) in before.iter().zip(after).enumerate() {
                    errs.extend(same(before, after, &path.index(i)));
                }
            }
            ([before], [after, _]) => {
                errs.extend(same(before, after, &path.index(0)));
                errs.extend(cidr_errors(new.cidrs(), &path));
            }
            (_, after) => errs.push(Error::invalid(&path, Raw(json!(after).to_string()), IMMUTABLE)),
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] =
            &[NAME, text("CIDRs", "The ranges that services get addresses from."), AGE];
        COLUMNS
    }

    fn row(&self, range: &ServiceCIDR, now: Timestamp) -> Vec<Value> {
        vec![json!(range.name()), json!(range.cidrs().join(",")), json!(age(&range.metadata, now))]
    }
}

fn same(before: &str, after: &str, path: &Path) -> ErrorList {
    let changed = (before != after).then(|| Error::invalid(path, after, IMMUTABLE));
    changed.into_iter().collect()
}

fn cidr_errors(cidrs: &[String], path: &Path) -> ErrorList {
    let whole = |detail: &str| {
        let spec = Raw(json!({ "cidrs": cidrs }).to_string());
        [Error::invalid(path, spec, detail)].into_iter().collect()
    };
    let is_v6 = |cidr: &String| split(cidr).map(|(address, _)| address.is_ipv6());
    match cidrs {
        [] => return [Error::required(path, "at least one CIDR required")].into_iter().collect(),
        [_] => {}
        [a, b] if is_v6(a).zip(is_v6(b)).is_some_and(|(a, b)| a != b) => {}
        [_, _] => {
            return whole(
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            );
        }
        _ => return whole("may only hold up to 2 values"),
    }
    let mut errs = ErrorList::new();
    for (i, cidr) in cidrs.iter().enumerate() {
        if let Some(why) = not_a_range(cidr) {
            errs.push(Error::invalid(&path.index(i), cidr, why));
        }
    }
    errs
}

/// What is wrong with a range, which has to be in the one form that it is written in.
fn not_a_range(cidr: &str) -> Option<String> {
    if let Some(wrong) = names::cidr(cidr).into_iter().next() {
        return Some(wrong);
    }
    let (address, length) = split(cidr)?;
    if matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some()) {
        return Some("must not have an IPv4-mapped IPv6 address".into());
    }
    let canonical = format!("{address}/{length}");
    if canonical != cidr {
        return Some(format!("must be in canonical form ({canonical:?})"));
    }
    let beyond = match address {
        IpAddr::V4(four) => four.to_bits().checked_shl(length).is_some_and(|rest| rest != 0),
        IpAddr::V6(six) => six.to_bits().checked_shl(length).is_some_and(|rest| rest != 0),
    };
    beyond.then(|| "must not have bits set beyond the prefix length".into())
}

fn split(cidr: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = cidr.split_once('/')?;
    Some((address.parse().ok()?, length.parse().ok()?))
}
