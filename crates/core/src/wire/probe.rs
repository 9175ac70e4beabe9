//! Probes: what goes in records of type 4 (spec: datagrams 12.2).

/// Length of the smallest probe, in bytes.
pub const MIN_PROBE: u16 = 18;
/// Length of the largest probe, in bytes: no larger packet is carried.
pub const MAX_PROBE: u16 = 1518;
/// The bytes in front of the random part.
const HEADER: usize = 14;
const REQUEST: u8 = 0;
const SHORT_REPLY: u8 = 2;
/// Smallest minor that understands short replies.
const SHORT_REPLY_MINOR: u8 = 3;

/// A probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Does this size arrive?
    Request {
        /// Its length in bytes.
        len: u16,
    },
    /// So much arrived.
    Reply {
        /// The length in bytes that arrived.
        len: u16,
    },
}

impl Probe {
    /// Reads the data of a record of type 4.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let len = u16::try_from(data.len()).ok().filter(|&len| len >= MIN_PROBE)?;
        Some(match *data.first()? {
            REQUEST => Self::Request { len },
            SHORT_REPLY => Self::Reply { len: u16::from_be_bytes([*data.get(1)?, *data.get(2)?]) },
            _ => Self::Reply { len },
        })
    }
}

/// A request of `len` bytes, filled from `noise`.
pub fn encode_request(len: u16, noise: &[u8]) -> Vec<u8> {
    let len = usize::from(len.clamp(MIN_PROBE, MAX_PROBE));
    let mut data = vec![0; len];
    let (_, random) = data.split_at_mut(HEADER);
    for (byte, noise) in random.iter_mut().zip(noise) {
        *byte = *noise;
    }
    data
}

/// What a request and its reply have in common: the first bytes of the noise.
pub fn mark(data: &[u8]) -> Option<[u8; 4]> {
    data.get(HEADER..)?.first_chunk().copied()
}

/// The reply to a request, in the form that a node of `minor` understands.
pub fn encode_reply(request: &[u8], minor: u8) -> Vec<u8> {
    if minor < SHORT_REPLY_MINOR {
        let mut data = request.to_vec();
        if let Some(kind) = data.first_mut() {
            *kind = 1;
        }
        return data;
    }
    let mut noise = [0; 4];
    for (byte, theirs) in noise.iter_mut().zip(request.get(HEADER..).unwrap_or_default()) {
        *byte = *theirs;
    }
    encode_gratuitous(u16::try_from(request.len()).unwrap_or(u16::MAX), noise)
}

/// A reply that announces a length nobody asked about.
pub fn encode_gratuitous(len: u16, noise: [u8; 4]) -> Vec<u8> {
    let mut data = vec![0; HEADER];
    data[0] = SHORT_REPLY;
    data[1..3].copy_from_slice(&len.to_be_bytes());
    data.extend_from_slice(&noise);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_tells_the_length_of_the_request() {
        let request = encode_request(1439, &[7; 2000]);
        assert_eq!(Probe::parse(&request), Some(Probe::Request { len: 1439 }));
        let reply = encode_reply(&request, 7);
        assert_eq!(reply.len(), usize::from(MIN_PROBE));
        assert_eq!(Probe::parse(&reply), Some(Probe::Reply { len: 1439 }));
        assert_eq!(Probe::parse(&encode_reply(&request, 2)), Some(Probe::Reply { len: 1439 }));
        assert_eq!(Probe::parse(&[0; 3]), None);
    }
}
