//! Which of a schedule's times was missed, and when the next one is.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::CronJob;
use resources::batch::schedule::Schedule;

/// Clocks may differ a little: nobody wakes too early.
const PADDING: SignedDuration = SignedDuration::from_millis(100);
/// More missed times than this are too many to be meant.
const MANY: i64 = 100;

/// A schedule by the clocks of a zone.
pub(super) struct Times<'a> {
    pub schedule: &'a Schedule,
    pub zone: &'a TimeZone,
}

/// The last time that is due.
#[derive(Debug, PartialEq)]
pub(super) struct Due {
    pub at: Timestamp,
    pub too_many_missed: bool,
}

struct Missed {
    /// Counted from here.
    since: Timestamp,
    last: Option<Timestamp>,
    count: i64,
}

impl Times<'_> {
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.schedule.next(after, self.zone)
    }

    /// `Err`: the schedule makes no sense, in upstream's words.
    pub fn due(&self, cron_job: &CronJob, now: Timestamp) -> Result<Option<Due>, String> {
        let missed = self.missed(cron_job, now, true)?;
        let due = |at| Due { at, too_many_missed: missed.count > MANY };
        Ok(missed.last.filter(|at| *at <= now).map(due))
    }

    /// From now until the next time. `None`: never.
    pub fn wait(&self, cron_job: &CronJob, now: Timestamp) -> Option<Duration> {
        let from = match self.missed(cron_job, now, false) {
            Err(_) => now,
            Ok(Missed { last: Some(last), .. }) => last,
            Ok(Missed { count: 0, since, .. }) => since,
            Ok(_) => now,
        };
        let next = self.next(from)?.checked_add(PADDING).ok()?;
        Some(Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO))
    }

    fn missed(&self, cron_job: &CronJob, now: Timestamp, within_deadline: bool) -> Result<Missed, String> {
        let created = cron_job.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0);
        let last = cron_job.status.as_ref().and_then(|s| s.last_schedule_time.as_ref());
        let mut since = last.map_or(created, |t| t.0);
        if let Some(seconds) = cron_job.spec.starting_deadline_seconds.filter(|_| within_deadline) {
            // What was due before cannot be started any more.
            let earliest = now.checked_sub(SignedDuration::from_secs(seconds));
            since = since.max(earliest.unwrap_or(Timestamp::MIN));
        }
        const SENSELESS: &str = "time difference between two schedules is less than 1 second";
        let first = self.next(since).ok_or(SENSELESS)?;
        if now < first {
            return Ok(Missed { since, last: None, count: 0 });
        }
        let second = self.next(first).ok_or(SENSELESS)?;
        if now < second {
            return Ok(Missed { since, last: Some(first), count: 0 });
        }
        // There may be a great many; nearly all of them are skipped by arithmetic.
        let step = second.duration_since(first).as_secs().max(1);
        let count = now.duration_since(first).as_secs() / step + 1;
        let skip = SignedDuration::from_secs((count - 2).saturating_mul(step));
        let mut at = self.next(first.checked_add(skip).unwrap_or(first));
        let mut last = None;
        while let Some(time) = at.filter(|time| *time <= now) {
            last = Some(time);
            at = self.next(time);
        }
        Ok(Missed { since, last, count })
    }
}
