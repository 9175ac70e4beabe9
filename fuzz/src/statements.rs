//! Targets for what the library of statements reads from outside. None may panic, whatever the input.

use std::collections::BTreeSet;

use fides::{Neighbour, Policy, Quotas, Rules, SecretKey, Session, StatementId, Store, Subject, Time, Unchecked};

/// A target's body.
pub(crate) type Target = fn(&[u8]);

/// All targets of this module by name; `fuzz/corpus/NAME` holds the corpus of each.
pub(crate) const TARGETS: [(&str, Target); 3] =
    [("fides_line", line), ("fides_store", store), ("fides_frames", frames)];

/// When the corpora were made.
const NOW: Time = Time(1_800_000_000);

/// A line that is read is written the same: there is one way to write a statement.
fn line(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(read) = Unchecked::parse(text)
        && let Ok(statement) = read.verify()
    {
        assert_eq!(statement.to_string(), text);
    }
    let _ = text.parse::<Subject>().map(|subject| assert_eq!(subject.to_string(), text));
    let _ = text.parse::<fides::Word>().map(|word| assert_eq!(word.to_string(), text));
    let _ = text.parse::<fides::Key>().map(|key| assert_eq!(key.to_string(), text));
}

/// A store stays within its quotas, and its export is imported whole.
fn store(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let me = SecretKey::from_seed(&[0; 32]).public();
    let founders = [SecretKey::from_seed(&[1; 32]).public()].into();
    let rules = Rules { me, founders, policy: Policy::default() };
    let mut store = Store::new(rules.clone(), Quotas::default());
    let mut neighbour = Neighbour::new(NOW);
    for piece in text.split("\n\n") {
        let _ = store.accept(piece, Some(&mut neighbour), NOW);
    }
    let _ = store.import(text, NOW);
    let export = store.export();
    let mut copy = Store::new(rules, Quotas::default());
    assert!(copy.import(&export, NOW).refused.is_empty());
    assert_eq!(copy.export(), export);
}

/// Frames of a reconciliation are answered within bounds.
fn frames(data: &[u8]) {
    let mut session = Session::new([7; 16], (0..200).map(|number| StatementId([number; 32])));
    let mut sent = BTreeSet::new();
    for frame in data.chunks(200) {
        let Ok(step) = session.on_frame(frame) else { return };
        assert!(step.frames.iter().all(|frame| frame.len() <= fides::MAX_FRAME));
        assert!(step.lacking.iter().all(|id| sent.insert(*id)), "each item once");
    }
}
