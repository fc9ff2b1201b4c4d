//! Cluster addresses.

use std::net::IpAddr;

use apimachinery::Status;
use apimachinery::field::Error;
use codec::Kind as _;
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::api::networking::v1::ServiceCIDR;
use resources::prelude::*;

use super::cidr::Cidr;
use super::pool::Taken;
use super::{Allocation, Failure, Name, Services, kind_of, list_of, parse, path};

const NONE: &str = "None";
/// The part of a range that is given out only on request, as upstream divides it: between 16 and 256 addresses.
const STATIC_MIN: u64 = 16;
const STATIC_MAX: u64 = 256;

/// The addresses a service has.
pub(super) fn of(spec: &ServiceSpec) -> Vec<IpAddr> {
    if kind_of(spec) == "ExternalName" {
        return Vec::new();
    }
    let mut all: Vec<IpAddr> =
        spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip).filter_map(|a| parse(a)).collect();
    all.dedup();
    if all.len() > 1 && all.first() == all.last() {
        all.pop();
    }
    all
}

impl Services {
    pub(super) async fn fill_addresses(
        &self,
        service: &mut Service,
        old: Option<&Service>,
        owner: &str,
        dry_run: bool,
        allocation: &mut Allocation,
    ) -> Result<(), Failure> {
        let spec = service.spec.get_or_insert_default();
        if kind_of(spec) == "ExternalName" {
            return Ok(());
        }
        carry(spec, old.and_then(|o| o.spec.as_ref()));
        let wanted = spec.cluster_ips.clone().unwrap_or_default();
        let wanted = match (&wanted[..], spec.cluster_ip.as_deref().filter(|a| !a.is_empty())) {
            ([], Some(one)) => vec![one.to_owned()],
            _ => wanted,
        };
        if wanted.first().is_some_and(|a| a == NONE) {
            spec.cluster_ip = Some(NONE.into());
            spec.cluster_ips = Some(vec![NONE.into()]);
            self.fill_families(spec, &[]);
            return Ok(());
        }
        let had = old.and_then(|o| o.spec.as_ref()).map(of).unwrap_or_default();
        let mut given = Vec::new();
        for v6 in self.families_for(spec, &wanted) {
            let ranges = self.ranges(v6);
            let asked = wanted.iter().find(|a| parse(a).is_some_and(|ip| ip.is_ipv6() == v6));
            let address = match asked {
                Some(text) if parse(text).is_some_and(|ip| had.contains(&ip)) => text.clone(),
                Some(text) => self.take_address(&ranges, text, &wanted, owner, dry_run, allocation).await?,
                None => self.any_address(&ranges, owner, dry_run, allocation).await?,
            };
            given.push(address);
        }
        // What is no address at all is validation's to refuse.
        if wanted.iter().any(|a| parse(a).is_none()) {
            return Ok(());
        }
        self.fill_families(spec, &given);
        spec.cluster_ip = given.first().cloned();
        spec.cluster_ips = Some(given);
        Ok(())
    }

    /// The families the service is to have addresses of, each told by whether it is IPv6.
    fn families_for(&self, spec: &ServiceSpec, wanted: &[String]) -> Vec<bool> {
        let configured = |v6: &bool| self.config.cidrs.iter().any(|c| c.is_v6() == *v6);
        let named: Vec<bool> = match (&spec.ip_families, wanted) {
            (Some(families), _) if !families.is_empty() => families.iter().map(|f| f == "IPv6").collect(),
            (_, wanted) => wanted.iter().filter_map(|a| parse(a)).map(|a| a.is_ipv6()).collect(),
        };
        let mut families: Vec<bool> = named.into_iter().filter(configured).collect();
        if families.is_empty() {
            families.extend(self.config.cidrs.first().map(|c| c.is_v6()));
        }
        let dual = matches!(spec.ip_family_policy.as_deref(), Some("PreferDualStack" | "RequireDualStack"));
        if let ([one], true) = (&families[..], dual) {
            let other = !one;
            families.extend(Some(other).filter(configured));
        }
        families
    }

    /// Where addresses of a family come from: what is configured, then what ServiceCIDRs that are ready add.
    fn ranges(&self, v6: bool) -> Vec<Cidr> {
        let mut ranges: Vec<Cidr> = self.config.cidrs.iter().copied().filter(|c| c.is_v6() == v6).collect();
        for object in self.ranges.cache().snapshot().iter(None, None).filter(|o| !o.meta.deleting) {
            let Ok(more) = ServiceCIDR::from_json(object.json()) else { continue };
            if !more.is_ready() {
                continue;
            }
            let cidrs = more.cidrs().iter().filter_map(|c| c.parse::<Cidr>().ok());
            for cidr in cidrs.filter(|c| c.is_v6() == v6) {
                if !ranges.contains(&cidr) {
                    ranges.push(cidr);
                }
            }
        }
        ranges
    }

    fn fill_families(&self, spec: &mut ServiceSpec, given: &[String]) {
        if spec.ip_families.as_ref().is_none_or(Vec::is_empty) {
            let family = |v6: bool| if v6 { "IPv6" } else { "IPv4" }.to_owned();
            let primary = self.config.cidrs.first().map(|c| family(c.is_v6()));
            let families: Vec<String> =
                given.iter().filter_map(|a| parse(a)).map(|a| family(a.is_ipv6())).collect();
            spec.ip_families =
                Some(if families.is_empty() { primary.into_iter().collect() } else { families });
        }
        if spec.ip_family_policy.is_none() {
            spec.ip_family_policy = Some("SingleStack".into());
        }
    }

    async fn take_address(
        &self,
        ranges: &[Cidr],
        text: &str,
        wanted: &[String],
        owner: &str,
        dry_run: bool,
        allocation: &mut Allocation,
    ) -> Result<String, Failure> {
        let refuse = |why: String| {
            let detail = format!("failed to allocate IP {text}: {why}");
            Failure::Field(Error::invalid(&path("clusterIPs"), list_of(wanted), detail))
        };
        let outside = || {
            let valid: Vec<String> = ranges.iter().map(Cidr::to_string).collect();
            refuse(format!(
                "the provided IP ({text}) is not in the valid range. The range of valid IPs is {}",
                valid.join(", ")
            ))
        };
        let inside = |ip: &IpAddr| ranges.iter().any(|range| range.contains(*ip));
        let ip = parse(text).filter(inside).ok_or_else(outside)?;
        let name = ip.to_string();
        let taken = || refuse("provided IP is already allocated".into());
        if dry_run {
            return if self.addresses.is_taken(&name) { Err(taken()) } else { Ok(name) };
        }
        match self.addresses.take(&name, owner).await {
            Ok(()) => {
                allocation.taken.push(Name::Address(name.clone()));
                Ok(name)
            }
            Err(Taken::Allocated) => Err(taken()),
            Err(Taken::Failed(status)) => Err(status.into()),
        }
    }

    async fn any_address(
        &self,
        ranges: &[Cidr],
        owner: &str,
        dry_run: bool,
        allocation: &mut Allocation,
    ) -> Result<String, Failure> {
        for range in ranges {
            if let Some(name) = self.any_of(*range, owner, dry_run).await? {
                if !dry_run {
                    allocation.taken.push(Name::Address(name.clone()));
                }
                return Ok(name);
            }
        }
        Err(Failure::Status(Status::internal("failed to allocate a serviceIP: range is full")))
    }

    /// Any free address of one range.
    async fn any_of(&self, range: Cidr, owner: &str, dry_run: bool) -> Result<Option<String>, Status> {
        let size = range.size();
        let reserved = (size / 16).clamp(STATIC_MIN, STATIC_MAX).min(size);
        // The first address is the `kubernetes` service's, whoever asks first.
        let parts = match owner {
            "default/kubernetes" => [(0, 1), (reserved, size)],
            _ => [(reserved, size), (1, reserved)],
        };
        let name_at = |offset: u64| range.at(offset).to_string();
        for (first, end) in parts {
            let found = match dry_run {
                true => self.addresses.free(first, end, &name_at),
                false => self.addresses.take_any(first, end, &name_at, owner, &self.random).await?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// An update that leaves the addresses out keeps them.
fn carry(spec: &mut ServiceSpec, old: Option<&ServiceSpec>) {
    let Some(old) = old.filter(|o| kind_of(o) != "ExternalName") else { return };
    if spec.cluster_ip.as_deref().unwrap_or_default().is_empty()
        && spec.cluster_ips.as_deref().unwrap_or_default().is_empty()
    {
        spec.cluster_ip.clone_from(&old.cluster_ip);
        spec.cluster_ips.clone_from(&old.cluster_ips);
    }
    if spec.ip_families.as_ref().is_none_or(Vec::is_empty) {
        spec.ip_families.clone_from(&old.ip_families);
    }
    if spec.ip_family_policy.is_none() {
        spec.ip_family_policy.clone_from(&old.ip_family_policy);
    }
}
