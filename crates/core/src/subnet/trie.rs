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
const MAX_KEY: usize = 16;

/// A key, of which the first `bits` count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    /// The bytes; zero behind the last bit.
    pub(super) bytes: [u8; MAX_KEY],
    /// How many bits count.
    pub(super) bits: u8,
}

impl Prefix {
    /// Bytes that count whole.
    const fn whole(&self) -> usize {
        (self.bits / 8) as usize
    }

    /// The place among the entries of its node: the bits behind the whole bytes, with a one in
    /// front, which tells their number. It is never zero.
    const fn slot(&self) -> u8 {
        let rest = self.bits % 8;
        if rest == 0 { 1 } else { slot(self.bytes[self.whole()], rest) }
    }
}

const fn slot(byte: u8, bits: u8) -> u8 {
    if bits == 0 { 1 } else { 1 << bits | byte >> (8 - bits) }
}

/// Values by byte, of which most are absent.
#[derive(Clone, Debug)]
struct Sparse<T> {
    present: [u64; 4],
    values: Vec<T>,
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self { present: [0; 4], values: Vec::new() }
    }
}

impl<T> Sparse<T> {
    const fn has(&self, byte: u8) -> bool {
        self.present[(byte >> 6) as usize] >> (byte & 63) & 1 != 0
    }

    fn rank(&self, byte: u8) -> usize {
        let word = usize::from(byte >> 6);
        let below = self.present[word] & ((1 << (byte & 63)) - 1);
        let before = self.present.iter().take(word).map(|bits| bits.count_ones()).sum::<u32>();
        (before + below.count_ones()) as usize
    }

    fn find(&self, byte: u8) -> Option<&T> {
        if self.has(byte) { self.values.get(self.rank(byte)) } else { None }
    }

    fn find_mut(&mut self, byte: u8) -> Option<&mut T> {
        let at = self.rank(byte);
        if self.has(byte) { self.values.get_mut(at) } else { None }
    }

    fn set(&mut self, byte: u8, value: T) {
        let at = self.rank(byte);
        if self.has(byte) {
            self.values[at] = value;
        } else {
            self.present[usize::from(byte >> 6)] |= 1 << (byte & 63);
            self.values.insert(at, value);
        }
    }

    fn remove(&mut self, byte: u8) {
        if self.has(byte) {
            self.values.remove(self.rank(byte));
            self.present[usize::from(byte >> 6)] &= !(1 << (byte & 63));
        }
    }
}

#[derive(Clone, Debug)]
struct TrieNode<T> {
    /// The bytes that all keys below share; zero behind `depth`.
    key: [u8; MAX_KEY],
    depth: usize,
    entries: Sparse<T>,
    children: Sparse<Arc<Self>>,
}

impl<T: Clone + Default> TrieNode<T> {
    fn new(key: &[u8; MAX_KEY], depth: usize) -> Self {
        let mut shared = [0; MAX_KEY];
        shared[..depth].copy_from_slice(&key[..depth]);
        Self { key: shared, depth, entries: Sparse::default(), children: Sparse::default() }
    }

    fn is_above(&self, key: &[u8; MAX_KEY]) -> bool {
        self.key[..self.depth] == key[..self.depth]
    }

    /// The entry of `prefix`, made if there is none.
    fn entry(&mut self, prefix: &Prefix) -> &mut T {
        let shared = self.key.iter().zip(&prefix.bytes).take_while(|(ours, theirs)| ours == theirs).count();
        let shared = shared.min(self.depth).min(prefix.whole());
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
        let byte = prefix.bytes[self.depth];
        if !self.children.has(byte) {
            self.children.set(byte, Arc::new(Self::new(&prefix.bytes, prefix.whole())));
        }
        let child = self.children.find_mut(byte).expect("it was set if it was absent");
        Arc::make_mut(child).entry(prefix)
    }

    /// Puts a node in this one's place that shares only `depth` bytes with what is below.
    fn split(&mut self, depth: usize) {
        let above = Self::new(&self.key, depth);
        let below = std::mem::replace(self, above);
        let byte = below.key[depth];
        self.children.set(byte, Arc::new(below));
    }

    fn remove(&mut self, prefix: &Prefix) {
        if self.depth == prefix.whole() {
            self.entries.remove(prefix.slot());
            return;
        }
        let byte = prefix.bytes[self.depth];
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
        Self(Arc::new(TrieNode::new(&[0; MAX_KEY], 0)))
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
        let mut path: [Option<&TrieNode<T>>; MAX_KEY + 1] = [None; MAX_KEY + 1];
        let mut next = Some(&*self.0);
        for place in &mut path {
            let Some(node) = next.filter(|node| node.depth <= key.whole() && node.is_above(&key.bytes)) else { break };
            *place = Some(node);
            next = key
                .bytes
                .get(node.depth)
                .filter(|_| node.depth < key.whole())
                .and_then(|&byte| node.children.find(byte).map(|child| &**child));
        }
        path.iter().rev().flatten().find_map(|node| {
            let bits = if node.depth < key.whole() { 7 } else { 0 };
            let byte = key.bytes.get(node.depth).copied().unwrap_or(0);
            let mut slots = (0..=bits).rev().map(|bits| slot(byte, bits));
            slots.find_map(|slot| node.entries.find(slot).and_then(&mut found))
        })
    }

    /// Visits all values.
    pub(super) fn walk<'a>(&'a self, mut visit: impl FnMut(&'a T)) {
        self.0.walk(&mut visit);
    }
}
