//! Tags of messages of different lengths side by side: all that are not at their end go on together for as long as the
//! shortest of them lasts, and the last one is finished alone.

use crate::TAG;
use crate::poly1305::{BLOCK, OneTimeKey};

/// The tags of messages. `start` makes the lanes, if any are needed; `absorb` adds as many blocks to each, and tells the sums.
#[inline(always)]
pub(crate) fn tags<L, const TOGETHER: usize>(
    keys: &[OneTimeKey; TOGETHER],
    messages: [&[u8]; TOGETHER],
    start: impl Fn() -> L,
    absorb: impl Fn(&mut L, [&[[u8; BLOCK]]; TOGETHER]) -> [[u64; 3]; TOGETHER],
) -> [[u8; TAG]; TOGETHER] {
    let mut left = messages.map(|message| message.as_chunks().0);
    let (mut sums, mut lanes) = ([[0; 3]; TOGETHER], None);
    while let Some(run) = run(&left) {
        // A message at its end has another's blocks, which count for nothing.
        let blocks = left.map(|left| left.get(..run.len()).unwrap_or(run));
        let now = absorb(lanes.get_or_insert_with(&start), blocks);
        for ((left, kept), sum) in left.iter_mut().zip(&mut sums).zip(now) {
            if let Some(rest) = left.get(run.len()..) {
                (*left, *kept) = (rest, sum);
            }
        }
    }
    std::array::from_fn(|lane| {
        let absorbed = messages[lane].len() / BLOCK - left[lane].len();
        keys[lane].finish(sums[lane], messages[lane], absorbed)
    })
}

/// The shortest of the messages that are not at their end, if that are several.
fn run<'a>(left: &[&'a [[u8; BLOCK]]]) -> Option<&'a [[u8; BLOCK]]> {
    let busy = left.iter().filter(|left| !left.is_empty());
    let shortest = busy.clone().min_by_key(|left| left.len())?;
    (busy.count() > 1).then_some(shortest)
}
