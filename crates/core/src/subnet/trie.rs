//! `Trie`: prefixes of byte strings, shared between snapshots.
//!
//! A node stands for the bytes that all keys below it share. A prefix that ends within the next
//! byte is an entry of the node, one that goes on is below the child of that byte. A lookup thus
//! visits at most one node per byte of the address, however many prefixes there are:
//!
//! ```text
//!   root ─10─► [10] ─1─► [10.1]        entries of [10]:   10.0.0.0/8, 10.64.0.0/10
//!                └──7─► [10.7.0.3]     entry of [10.7.0.3]: 10.7.0.3/32 (bytes skipped)
//! ```
//!
//! Nodes are `Arc`s: a clone shares them, and a change copies the few nodes on its way.

use std::sync::Arc;

/// Longest key, in bytes.
const MAX_KEY: u8 = 16;

/// A key, of which the first bits count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    /// The bits, from the top; zero behind the last that counts.
    pub(super) key: u128,
    /// How many count.
    pub(super) bits: u8,
}

impl Prefix {
    /// Bytes that count whole.
    const fn whole(&self) -> u8 {
        self.bits / 8
    }

    /// The place among the entries of its node.
    const fn slot(&self) -> u8 {
        slot(byte(self.key, self.whole()), self.bits % 8)
    }
}

/// The place of a prefix that counts so many bits of `byte`: these bits, with a one in front, which
/// tells their number.
const fn slot(byte: u8, bits: u8) -> u8 {
    if bits == 0 { 1 } else { 1 << bits | byte >> (8 - bits) }
}

/// The byte behind the first `depth`; zero behind the last.
const fn byte(key: u128, depth: u8) -> u8 {
    if depth < MAX_KEY { (key >> (120 - 8 * depth)) as u8 } else { 0 }
}

/// The first `depth` bytes, and zeros.
const fn first(key: u128, depth: u8) -> u128 {
    if depth < MAX_KEY { key & !(u128::MAX >> (8 * depth)) } else { key }
}

/// Values by byte, of which most are absent.
#[derive(Clone, Debug)]
struct Sparse<T> {
    present: [u64; 4],
    /// How many values are in front of those of each word.
    before: [u8; 4],
    values: Vec<T>,
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self { present: [0; 4], before: [0; 4], values: Vec::new() }
    }
}

impl<T> Sparse<T> {
    const fn has(&self, byte: u8) -> bool {
        self.present[(byte >> 6) as usize] >> (byte & 63) & 1 != 0
    }

    const fn rank(&self, byte: u8) -> usize {
        let word = (byte >> 6) as usize;
        let below = self.present[word] & ((1 << (byte & 63)) - 1);
        self.before[word] as usize + below.count_ones() as usize
    }

    fn find(&self, byte: u8) -> Option<&T> {
        if self.has(byte) { self.values.get(self.rank(byte)) } else { None }
    }

    fn find_mut(&mut self, byte: u8) -> Option<&mut T> {
        let at = self.rank(byte);
        if self.has(byte) { self.values.get_mut(at) } else { None }
    }

    /// Sets a value that is absent.
    fn set(&mut self, byte: u8, value: T) {
        // Most nodes have one value, and there are many nodes.
        self.values.reserve_exact(1);
        self.values.insert(self.rank(byte), value);
        self.flip(byte);
    }

    fn remove(&mut self, byte: u8) {
        if self.has(byte) {
            self.values.remove(self.rank(byte));
            self.flip(byte);
        }
    }

    fn flip(&mut self, byte: u8) {
        self.present[usize::from(byte >> 6)] ^= 1 << (byte & 63);
        let mut before = 0;
        for (place, word) in self.before.iter_mut().zip(self.present) {
            *place = before;
            // The last sum is 256 at most, and not needed.
            before = before.wrapping_add(word.count_ones() as u8);
        }
    }
}

#[derive(Clone, Debug)]
struct TrieNode<T> {
    /// The bytes that all keys below share, and zeros.
    key: u128,
    /// How many bytes that are.
    depth: u8,
    entries: Sparse<T>,
    children: Sparse<Arc<Self>>,
}

impl<T: Clone + Default> TrieNode<T> {
    fn new(key: u128, depth: u8) -> Self {
        Self { key: first(key, depth), depth, entries: Sparse::default(), children: Sparse::default() }
    }

    /// The entry of `prefix`, made if there is none.
    fn entry(&mut self, prefix: &Prefix) -> &mut T {
        let alike = ((self.key ^ prefix.key).leading_zeros() / 8) as u8;
        let shared = alike.min(self.depth).min(prefix.whole());
        if shared < self.depth {
            self.split(shared);
        }
        if self.depth == prefix.whole() {
            let slot = prefix.slot();
            if !self.entries.has(slot) {
                self.entries.set(slot, T::default());
            }
            return self.entries.find_mut(slot).expect("it was set if it was absent");
        }
        let byte = byte(prefix.key, self.depth);
        if !self.children.has(byte) {
            self.children.set(byte, Arc::new(Self::new(prefix.key, prefix.whole())));
        }
        let child = self.children.find_mut(byte).expect("it was set if it was absent");
        Arc::make_mut(child).entry(prefix)
    }

    /// Puts a node in this one's place that shares only `depth` bytes with what is below.
    fn split(&mut self, depth: u8) {
        let above = Self::new(self.key, depth);
        let below = std::mem::replace(self, above);
        self.children.set(byte(below.key, depth), Arc::new(below));
    }

    fn remove(&mut self, prefix: &Prefix) {
        if self.depth == prefix.whole() {
            self.entries.remove(prefix.slot());
            return;
        }
        let byte = byte(prefix.key, self.depth);
        let Some(child) = self.children.find_mut(byte).filter(|child| child.depth <= prefix.whole()) else { return };
        Arc::make_mut(child).remove(prefix);
        if !child.entries.values.is_empty() {
            return;
        }
        match child.children.values.as_slice() {
            [] => self.children.remove(byte),
            [only] => *child = Arc::clone(only),
            [_, _, ..] => {}
        }
    }

    fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a T)) {
        self.entries.values.iter().for_each(&mut *visit);
        self.children.values.iter().for_each(|child| child.walk(visit));
    }
}

/// Values by prefix.
#[derive(Clone, Debug)]
pub(super) struct Trie<T>(Arc<TrieNode<T>>);

impl<T: Clone + Default> Default for Trie<T> {
    fn default() -> Self {
        Self(Arc::new(TrieNode::new(0, 0)))
    }
}

impl<T: Clone + Default> Trie<T> {
    /// The value of `prefix`, made if there is none.
    pub(super) fn entry(&mut self, prefix: &Prefix) -> &mut T {
        Arc::make_mut(&mut self.0).entry(prefix)
    }

    /// Removes the value of `prefix`, which must be there.
    pub(super) fn remove(&mut self, prefix: &Prefix) {
        Arc::make_mut(&mut self.0).remove(prefix);
    }

    /// The values of all prefixes of `key`, longest first, until `found` gives something.
    pub(super) fn search<R>(&self, key: &Prefix, mut found: impl FnMut(&T) -> Option<R>) -> Option<R> {
        let mut path: [Option<&TrieNode<T>>; MAX_KEY as usize + 1] = [None; MAX_KEY as usize + 1];
        let mut len = 0;
        let mut next = Some(&*self.0);
        while let Some(node) = next.filter(|node| node.depth <= key.whole() && first(key.key, node.depth) == node.key) {
            if !node.entries.values.is_empty() {
                path[len] = Some(node);
                len += 1;
            }
            next = if node.depth < key.whole() {
                node.children.find(byte(key.key, node.depth)).map(|child| &**child)
            } else {
                None
            };
        }
        path[..len].iter().rev().flatten().find_map(|node| {
            let bits = if node.depth < key.whole() { 7 } else { 0 };
            let byte = byte(key.key, node.depth);
            let mut slots = (0..=bits).rev().map(|bits| slot(byte, bits));
            slots.find_map(|slot| node.entries.find(slot).and_then(&mut found))
        })
    }

    /// Visits all values.
    pub(super) fn walk<'a>(&'a self, mut visit: impl FnMut(&'a T)) {
        self.0.walk(&mut visit);
    }
}
