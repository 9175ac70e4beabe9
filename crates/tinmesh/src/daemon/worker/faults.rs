//! What becomes of a device that cannot be read (spec: routing 2.5).

use std::io;
use std::time::Duration;

use tinmesh_os::device::is_final;

/// Failures in a row that are borne.
const BORNE: u32 = 10;
/// Each rest is so much longer than the one before; the first failure needs none.
const STEP: Duration = Duration::from_millis(50);

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Leave the device alone for so long.
    Rest(Duration),
    /// Leave it alone for good.
    GiveUp,
}

/// Failures of reading since the last packet.
#[derive(Debug, Default)]
pub(super) struct Faults {
    in_row: u32,
}

impl Faults {
    /// A packet was read.
    pub(super) fn on_packet(&mut self) {
        self.in_row = 0;
    }

    /// Reading failed.
    pub(super) fn on_failure(&mut self, error: &io::Error) -> Fate {
        if is_final(error) || self.in_row == BORNE {
            return Fate::GiveUp;
        }
        let rest = STEP * self.in_row;
        self.in_row += 1;
        Fate::Rest(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> io::Error {
        rustix::io::Errno::NETDOWN.into()
    }

    #[test]
    fn ten_failures_in_a_row_are_borne_with_growing_rests() {
        let mut faults = Faults::default();
        for number in 0..10 {
            assert_eq!(faults.on_failure(&failure()), Fate::Rest(Duration::from_millis(50 * number)));
        }
        assert_eq!(faults.on_failure(&failure()), Fate::GiveUp);
    }

    #[test]
    fn a_packet_makes_up_for_all_failures_before() {
        let mut faults = Faults::default();
        for _ in 0..10 {
            faults.on_failure(&failure());
        }

        faults.on_packet();

        assert_eq!(faults.on_failure(&failure()), Fate::Rest(Duration::ZERO));
    }

    #[test]
    fn a_device_that_is_gone_is_given_up_at_once() {
        assert_eq!(Faults::default().on_failure(&rustix::io::Errno::BADFD.into()), Fate::GiveUp);
        assert_eq!(Faults::default().on_failure(&io::ErrorKind::UnexpectedEof.into()), Fate::GiveUp);
    }
}
