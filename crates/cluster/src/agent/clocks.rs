//! This machine's clock and its server's. Certificates begin and end by clocks: where two differ by more than [`pki::ca::BACKDATE`], one
//! side takes what the other has just issued for not valid yet, or for ended.

use anyhow::Result;
use jiff::SignedDuration;

use super::Machine;
use super::join::unverified;

/// How far our clock is ahead of the server's, to the second. Nothing is believed of the server but its date.
pub async fn ahead(server: &str, machine: &Machine) -> Result<Option<SignedDuration>> {
    let tasks = machine.tasks.child();
    let transport = unverified(server, machine, &tasks)?;
    let theirs = transport.server_time().await;
    tasks.stop().await;
    Ok(theirs?.map(|theirs| machine.clock.now().duration_since(theirs)))
}

/// What is wrong with the difference, if anything.
pub fn complaint(ahead: SignedDuration) -> Option<String> {
    let apart = ahead.unsigned_abs();
    (apart > pki::ca::BACKDATE).then(|| {
        let side = if ahead.is_positive() { "ahead of" } else { "behind" };
        format!(
            "this machine's clock is {} {side} the server's: certificates would be taken for ended, or for not valid yet. \
             Set the wrong one (`timedatectl set-ntp true`, or `date -s`)",
            shown(apart)
        )
    })
}

/// `1h 2m`
fn shown(apart: std::time::Duration) -> String {
    let minutes = apart.as_secs() / 60;
    match (minutes / (24 * 60), minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} days {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_told() {
        let said = |seconds: i64| {
            let why = complaint(SignedDuration::from_secs(seconds)).unwrap_or_default();
            why.split(':').next().unwrap_or_default().to_owned()
        };
        assert_eq!(said(0), "");
        assert_eq!(said(-300), "");
        assert_eq!(said(3660), "this machine's clock is 1 h 1 min ahead of the server's");
        assert_eq!(said(-360), "this machine's clock is 6 min behind the server's");
        assert_eq!(said(-200_000), "this machine's clock is 2 days 7 h behind the server's");
    }
}
