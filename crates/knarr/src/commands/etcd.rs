//! Upstream's etcd flags, for every command that has to do with one.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster::datastore::EtcdSettings;

use crate::commands::node::absolute;

/// Which etcd, and how to speak to it.
#[derive(clap::Args)]
#[command(next_help_heading = "etcd")]
pub struct EtcdArgs {
    /// Keep the objects in this etcd instead of a file of our own: http://HOST:2379 or https://HOST:2379, all members of the
    /// cluster separated by commas. Any number of servers may share it
    #[arg(long, value_delimiter = ',', value_name = "URL,…")]
    etcd_servers: Vec<String>,
    /// Below which of etcd's keys
    #[arg(long, default_value = "/registry")]
    etcd_prefix: String,
    /// The authority that etcd's certificates are from [default: those that this machine trusts]
    #[arg(long, value_name = "FILE")]
    etcd_cafile: Option<PathBuf>,
    /// The certificate that is shown to etcd
    #[arg(long, value_name = "FILE")]
    etcd_certfile: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE")]
    etcd_keyfile: Option<PathBuf>,
    /// How often etcd is told to forget old revisions; 0: not by us
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    etcd_compaction_interval: String,
}

impl EtcdArgs {
    /// None: no etcd.
    pub fn settings(&self) -> Result<Option<EtcdSettings>> {
        let files = [&self.etcd_cafile, &self.etcd_certfile, &self.etcd_keyfile];
        if self.etcd_servers.is_empty() {
            if files.iter().any(|f| f.is_some()) {
                bail!("--etcd-cafile, --etcd-certfile and --etcd-keyfile need --etcd-servers");
            }
            return Ok(None);
        }
        let [ca_file, cert_file, key_file] = files.map(|f| f.as_deref().map(absolute));
        let settings = EtcdSettings {
            servers: self.etcd_servers.clone(),
            prefix: self.etcd_prefix.clone(),
            ca_file,
            cert_file,
            key_file,
            compaction_interval: duration(&self.etcd_compaction_interval)
                .context("--etcd-compaction-interval")?,
        };
        settings.validate()?;
        Ok(Some(settings))
    }
}

/// As Go writes durations: `1h30m`, `90s`, `0`.
pub fn duration(text: &str) -> Result<Duration> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let mut millis = 0_u64;
    let mut rest = text;
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || anyhow::anyhow!("{text:?} is no duration; write it as 5m, 90s or 1h30m");
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let (unit, size) = UNITS.iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        millis = number.checked_mul(*size).and_then(|n| n.checked_add(millis)).ok_or_else(wrong)?;
        rest = &after[unit.len()..];
    }
    Ok(Duration::from_millis(millis))
}

/// With less there is no time to renew a certificate.
const LIFETIME_MIN: Duration = Duration::from_secs(10);

/// How long a certificate is to live.
pub fn lifetime(text: &str) -> Result<Duration> {
    let lifetime = duration(text)?;
    if lifetime < LIFETIME_MIN {
        bail!("{text}: a certificate must live {} s or more", LIFETIME_MIN.as_secs());
    }
    Ok(lifetime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_writes_them() {
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        };
        check("5m", Some(300));
        check("1h30m5s", Some(5405));
        check("0", Some(0));
        check("0s", Some(0));
        check("2000ms", Some(2));
        check("5", None);
        check("", None);
        check("m5", None);
        check("5 m", None);
        check("99999999999999999999h", None);
    }
}
