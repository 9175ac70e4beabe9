//! Clocks: monotonic time for the node, time with sleep for noticing that the machine slept, and the wall clock.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds of `CLOCK_MONOTONIC`, which stands still while the machine sleeps.
pub fn now_micros() -> u64 {
    micros(ClockId::Monotonic)
}

/// Microseconds of `CLOCK_BOOTTIME`, which goes on while the machine sleeps.
pub fn boot_micros() -> u64 {
    micros(ClockId::Boottime)
}

/// Seconds since 1970-01-01 UTC by the wall clock.
pub fn unix_seconds() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0)
}

/// A wall clock that shows less than this, 2025, was never set; in milliseconds since 1970.
pub const EARLIEST: u64 = 1_735_689_600_000;

/// Milliseconds since 1970-01-01 UTC by the wall clock.
pub fn unix_millis() -> u64 {
    micros(ClockId::Realtime) / 1_000
}

fn micros(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(u64::try_from(time.tv_nsec / 1_000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn monotonic_time_advances_by_what_a_sleep_takes() {
        let before = (now_micros(), boot_micros());
        std::thread::sleep(Duration::from_millis(2));
        assert!(now_micros() - before.0 >= 2_000);
        assert!(boot_micros() - before.1 >= 2_000);
    }

    #[test]
    fn boot_time_is_not_behind_monotonic_time() {
        let now = now_micros();
        assert!(boot_micros() >= now);
    }

    #[test]
    fn wall_clock_agrees_with_std() {
        let std = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(unix_seconds().abs_diff(std) <= 1);
    }
}
