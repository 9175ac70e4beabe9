//! Stations of our own wire that a worker met and the node does not know yet (spec: routing 6.1).

use crate::dataplane::ethernet::Mac;

/// Stations that wait to be told; others show themselves again.
const ROOM: usize = 16;

/// A few addresses, each once.
#[derive(Debug, Default)]
pub struct Strangers {
    macs: [Mac; ROOM],
    len: usize,
}

impl Strangers {
    /// Notes an address if there is room.
    pub(super) fn note(&mut self, mac: Mac) {
        if !self.macs[..self.len].contains(&mac)
            && let Some(place) = self.macs.get_mut(self.len)
        {
            *place = mac;
            self.len += 1;
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes all addresses.
    pub fn take(&mut self) -> impl Iterator<Item = Mac> + use<> {
        let Self { macs, len } = std::mem::take(self);
        macs.into_iter().take(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_station_is_told_once_and_no_more_than_there_is_room_for() {
        let mut strangers = Strangers::default();
        for last in (0..40).chain(0..40) {
            strangers.note([2, 0, 0, 0, 0, last]);
        }

        let told: Vec<u8> = strangers.take().map(|mac| mac[5]).collect();

        assert_eq!(told, (0..16).collect::<Vec<u8>>());
        assert!(strangers.is_empty());
    }
}
