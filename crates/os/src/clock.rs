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

fn micros(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(u64::try_from(time.tv_nsec / 1_000).unwrap_or(0))
}
