//! Days full of trouble (`lab/day.rs`): whoever can be joined is.

use tinmesh_sim::lab::day;

#[test]
fn no_pair_that_could_be_joined_is_lost_in_ten_days() {
    for seed in 1..=10 {
        let outcome = day::play(seed);
        assert!(outcome.apart.is_empty(), "seed {seed}: {:?}", outcome.apart);
        assert!(outcome.pairs > 500, "seed {seed}: only {} pairs were looked at", outcome.pairs);
    }
}
