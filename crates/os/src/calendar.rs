//! Local time, as people read it.

use std::fmt;

/// A second by the calendar and clock of this machine's time zone. Prints as `2026-11-25 18:54:07`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Year.
    pub year: i64,
    /// Month, 1–12.
    pub month: u8,
    /// Day, 1–31.
    pub day: u8,
    /// Hour, 0–23.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second.
    pub second: u8,
}

impl LocalTime {
    /// The local time of so many seconds after 1970-01-01 UTC; meaningless for times beyond the calendar.
    pub fn at(unix_seconds: u64) -> Self {
        let time = libc::time_t::try_from(unix_seconds).unwrap_or(0);
        // SAFETY: `tm` consists of integers and of a pointer that may be null, so all zeros is a value of it.
        let mut parts: libc::tm = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live values of the right type, and the second is ours alone.
        let _ = unsafe { libc::localtime_r(&raw const time, &raw mut parts) };
        let small = |number: i32| u8::try_from(number).unwrap_or(0);
        Self {
            year: i64::from(parts.tm_year) + 1900,
            month: small(parts.tm_mon + 1),
            day: small(parts.tm_mday),
            hour: small(parts.tm_hour),
            minute: small(parts.tm_min),
            second: small(parts.tm_sec),
        }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02} ", self.year, self.month, self.day)?;
        write!(f, "{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_with_leading_zeros() {
        let time = LocalTime { year: 2026, month: 1, day: 2, hour: 3, minute: 4, second: 5 };
        assert_eq!(time.to_string(), "2026-01-02 03:04:05");
    }

    #[test]
    fn a_day_has_as_many_seconds_in_every_zone() {
        let (one, next) = (LocalTime::at(1_700_000_000), LocalTime::at(1_700_000_061));
        assert_eq!((i16::from(one.second) + 1) % 60, i16::from(next.second));
        assert_eq!(one.year, 2023);
    }
}
