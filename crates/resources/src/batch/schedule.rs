//! Schedules of CronJobs: five cron fields, or a macro such as `@hourly`, as the library that upstream uses reads them.
//! Start at [`Schedule::parse`], then [`Schedule::next`].

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

mod every;
mod field;
#[cfg(test)]
mod tests;

use field::{Bounds, Field};

/// A schedule that names a day that never comes is given up after so many years.
const YEARS_MAX: i16 = 5;

/// When a CronJob runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    when: When,
    /// Named in the schedule itself, as `TZ=…`; no longer accepted in new ones.
    zone: Option<TimeZone>,
}

#[derive(Clone, Debug, PartialEq)]
enum When {
    Fields(Box<Fields>),
    /// `@every`: whole seconds, at least one.
    Every(SignedDuration),
}

#[derive(Clone, Debug, PartialEq)]
struct Fields {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Schedule {
    /// The error is upstream's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".into());
        }
        let (zone, text) = match text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            true => {
                let (assignment, rest) = text.split_once(' ').unwrap_or((text, ""));
                let (_, name) = assignment.split_once('=').unwrap_or_default();
                let zone = time_zone(name).map_err(|e| format!("provided bad location {name}: {e}"))?;
                (Some(zone), rest.trim())
            }
            false => (None, text),
        };
        let when = match text.strip_prefix('@') {
            Some(_) => descriptor(text)?,
            None => When::Fields(Box::new(fields(text)?)),
        };
        Ok(Schedule { when, zone })
    }

    /// The first time after `after` by the clocks of `zone`; none within the next five years: never.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let zone = self.zone.as_ref().unwrap_or(zone);
        match &self.when {
            When::Every(delay) => Timestamp::from_second(after.as_second()).ok()?.checked_add(*delay).ok(),
            When::Fields(fields) => fields.next(after, zone),
        }
    }
}

/// A zone of the IANA database by its exact name. The error is Go's text.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    // The database here does not tell cases apart, Go's does.
    let found = TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name));
    found.ok_or_else(|| format!("unknown time zone {name}"))
}

fn descriptor(text: &str) -> Result<When, String> {
    let same = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let every = text.strip_prefix("@every ");
            let duration = every.ok_or_else(|| format!("unrecognized descriptor: {text}"))?;
            let delay =
                every::duration(duration).map_err(|e| format!("failed to parse duration {text}: {e}"))?;
            let whole = SignedDuration::from_secs(delay.as_secs());
            return Ok(When::Every(whole.max(SignedDuration::from_secs(1))));
        }
    };
    Ok(When::Fields(Box::new(fields(same)?)))
}

fn fields(text: &str) -> Result<Fields, String> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = parts[..] else {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", parts.len(), parts.join(" ")));
    };
    Ok(Fields {
        minute: Field::parse(minute, &Bounds::MINUTE)?,
        hour: Field::parse(hour, &Bounds::HOUR)?,
        day: Field::parse(day, &Bounds::DAY)?,
        month: Field::parse(month, &Bounds::MONTH)?,
        weekday: Field::parse(weekday, &Bounds::WEEKDAY)?,
    })
}

impl Fields {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let last_year = after.to_zoned(zone.clone()).year().saturating_add(YEARS_MAX);
        let minutes = after.as_second().div_euclid(60).checked_add(1)?;
        let mut at = Timestamp::from_second(minutes.checked_mul(60)?).ok()?.to_zoned(zone.clone());
        // Each turn goes to the start of the next month, day, hour or minute, by real time: an hour that the clocks
        // skip does not come, one that they repeat comes twice.
        while at.year() <= last_year {
            at = if !self.month.has(at.month()) {
                start_of(at.date().first_of_month().checked_add(1.month()).ok()?, zone)?
            } else if !self.day_matches(at.date()) {
                start_of(at.date().tomorrow().ok()?, zone)?
            } else if !self.hour.has(at.hour()) {
                let rest = SignedDuration::from_mins((60 - at.minute()).into());
                at.checked_add(rest).ok()?
            } else if !self.minute.has(at.minute()) {
                at.checked_add(SignedDuration::from_mins(1)).ok()?
            } else {
                return Some(at.timestamp());
            };
        }
        None
    }

    /// A day of the month or of the week is enough, unless one of the two is open: then the other decides.
    fn day_matches(&self, date: Date) -> bool {
        let day = self.day.has(date.day());
        let weekday = self.weekday.has(date.weekday().to_sunday_zero_offset());
        if self.day.open || self.weekday.open { day && weekday } else { day || weekday }
    }
}

/// The first moment of a day; where the clocks skip midnight, it is later.
fn start_of(date: Date, zone: &TimeZone) -> Option<Zoned> {
    zone.to_zoned(date.to_datetime(Time::midnight())).ok()
}
