//! Node ports.

use apimachinery::field::Error;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

use super::pool::Taken;
use super::{Allocation, Failure, Name, Services, kind_of, path};

/// The node ports a service has.
pub(super) fn of(spec: &ServiceSpec) -> Vec<i32> {
    let mut all: Vec<i32> = spec.ports.iter().flatten().filter_map(|p| p.node_port).collect();
    all.extend(spec.health_check_node_port);
    all.retain(|p| *p != 0);
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether each of its ports gets one.
fn wants(spec: &ServiceSpec) -> bool {
    match kind_of(spec) {
        "NodePort" => true,
        "LoadBalancer" => spec.allocate_load_balancer_node_ports != Some(false),
        _ => false,
    }
}

/// Whether it gets one for health checks of its nodes.
fn wants_health_check(spec: &ServiceSpec) -> bool {
    kind_of(spec) == "LoadBalancer" && spec.external_traffic_policy.as_deref() == Some("Local")
}

impl Services {
    pub(super) async fn fill_ports(
        &self,
        service: &mut Service,
        old: Option<&Service>,
        owner: &str,
        dry_run: bool,
        allocation: &mut Allocation,
    ) -> Result<(), Failure> {
        let spec = service.spec.get_or_insert_default();
        let before = old.and_then(|o| o.spec.as_ref());
        let had = before.map(of).unwrap_or_default();
        let mut mine = had.clone();
        if wants(spec) {
            carry(spec, before);
        }
        let wanted = wants(spec);
        let mut ports = spec.ports.take().unwrap_or_default();
        let mut failed = None;
        for at in 0..ports.len() {
            let asked = ports[at].node_port.filter(|p| *p != 0);
            let twin = twin(&ports, at);
            let given = match asked.or(twin) {
                Some(port) if mine.contains(&port) => Ok(Some(port)),
                Some(port) => self.take_port(at, port, owner, dry_run, allocation).await.map(Some),
                None if wanted => self.any_port(owner, dry_run, allocation).await.map(Some),
                None => Ok(None),
            };
            match given {
                Ok(port) => {
                    ports[at].node_port = port;
                    mine.extend(port);
                }
                Err(failure) => {
                    failed = Some(failure);
                    break;
                }
            }
        }
        spec.ports = (!ports.is_empty()).then_some(ports);
        if let Some(failure) = failed {
            return Err(failure);
        }
        if wants_health_check(spec) && spec.health_check_node_port.is_none_or(|p| p == 0) {
            let kept = before.and_then(|b| b.health_check_node_port).filter(|p| *p != 0);
            spec.health_check_node_port = match kept {
                Some(port) => Some(port),
                None => Some(self.any_port(owner, dry_run, allocation).await?),
            };
        }
        Ok(())
    }

    async fn take_port(
        &self,
        at: usize,
        port: i32,
        owner: &str,
        dry_run: bool,
        allocation: &mut Allocation,
    ) -> Result<i32, Failure> {
        let field = path("ports").index(at).child("nodePort");
        let range = &self.config.node_ports;
        if !u16::try_from(port).is_ok_and(|p| range.contains(&p)) {
            let why = format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                range.start(),
                range.end()
            );
            return Err(Failure::Field(Error::invalid(&field, port, why)));
        }
        let name = port.to_string();
        let taken = || Failure::Field(Error::invalid(&field, port, "provided port is already allocated"));
        if dry_run {
            return if self.ports.is_taken(&name) { Err(taken()) } else { Ok(port) };
        }
        match self.ports.take(&name, owner).await {
            Ok(()) => {
                allocation.taken.push(Name::Port(name));
                Ok(port)
            }
            Err(Taken::Allocated) => Err(taken()),
            Err(Taken::Failed(status)) => Err(status.into()),
        }
    }

    async fn any_port(
        &self,
        owner: &str,
        dry_run: bool,
        allocation: &mut Allocation,
    ) -> Result<i32, Failure> {
        let range = &self.config.node_ports;
        let (first, end) = (u64::from(*range.start()), u64::from(*range.end()) + 1);
        let name_at = |port: u64| port.to_string();
        let found = match dry_run {
            true => self.ports.free(first, end, &name_at),
            false => self.ports.take_any(first, end, &name_at, owner, &self.random).await?,
        };
        let Some(name) = found else {
            return Err(Failure::Status(apimachinery::Status::internal(
                "failed to allocate a nodePort: range is full",
            )));
        };
        if !dry_run {
            allocation.taken.push(Name::Port(name.clone()));
        }
        Ok(name.parse().unwrap_or_default())
    }
}

/// The node port of an earlier entry with the same port number: protocols share it.
fn twin(ports: &[ServicePort], at: usize) -> Option<i32> {
    let protocol = |p: &ServicePort| p.protocol.clone().unwrap_or_else(|| "TCP".into());
    let this = &ports[at];
    let same = |p: &&ServicePort| p.port == this.port && protocol(p) != protocol(this);
    ports[..at].iter().find(same).and_then(|p| p.node_port).filter(|p| *p != 0)
}

/// An update that leaves node ports out keeps them, port by port.
fn carry(spec: &mut ServiceSpec, old: Option<&ServiceSpec>) {
    let Some(old) = old.filter(|o| wants(o)) else { return };
    let named: Vec<i32> = spec.ports.iter().flatten().filter_map(|p| p.node_port).collect();
    for port in spec.ports.iter_mut().flatten().filter(|p| p.node_port.is_none_or(|n| n == 0)) {
        let same = |o: &&ServicePort| o.port == port.port && o.protocol == port.protocol;
        let kept = old.ports.iter().flatten().find(same).and_then(|o| o.node_port);
        port.node_port = kept.filter(|p| !named.contains(p));
    }
}
