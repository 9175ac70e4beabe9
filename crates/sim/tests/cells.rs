//! The laboratory's cells that the emulator's oracle calls certain: every one gets a direct path, and none harms a router.

use tinmesh_sim::lab::cells::{cells, label};
use tinmesh_sim::{Chance, secs};

#[test]
fn pairs_of_nats_that_can_certainly_meet_do_so_within_two_seconds() {
    let certain: Vec<_> = cells(true).into_iter().filter(|cell| cell.chance() == Chance::Certain).collect();
    assert!(certain.len() >= 40, "{} cells", certain.len());
    for (seed, cell) in (0..).zip(certain) {
        let outcome = cell.run(seed);
        let title = format!("{} and {}: {outcome:?}", label(&cell.a), label(&cell.b));
        assert!(outcome.direct.is_some_and(|time| time <= secs(2)), "{title}");
        assert!(outcome.peak <= 100 && outcome.mappings <= 256, "{title}");
    }
}

#[test]
fn no_pair_of_nats_waits_for_its_first_packet() {
    for (seed, cell) in (0..).zip(cells(true)).step_by(7) {
        let outcome = cell.run(seed);
        let first = outcome.first.is_some_and(|time| time <= tinmesh_sim::millis(1_500));
        assert!(first, "{} and {}: {outcome:?}", label(&cell.a), label(&cell.b));
    }
}
