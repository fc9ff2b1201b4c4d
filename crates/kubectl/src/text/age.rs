//! How long ago: `5d3h`, as tables show it.

use jiff::Timestamp;
use stdx::{Clock, SystemClock};

/// The span between a time and now, in people's units; `<unknown>` when there is no such time.
pub fn since(time: Option<&str>) -> String {
    match time.and_then(|t| t.parse::<Timestamp>().ok()) {
        Some(time) => human(SystemClock.now().as_second() - time.as_second()),
        None => "<unknown>".into(),
    }
}

/// Seconds in people's units.
pub fn human(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".into();
    }
    let s = seconds.max(0);
    let (minutes, hours) = (s / 60, s / 3600);
    let days = hours / 24;
    let with = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    match () {
        () if s < 120 => format!("{s}s"),
        () if minutes < 10 => with(minutes, "m", s % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => with(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => with(days, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{days}d"),
        () if hours < 24 * 365 * 8 => with(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}
