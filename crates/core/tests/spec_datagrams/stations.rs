//! Switch mode as neighbours see it (spec: routing 6.1): what is learnt is announced, and withdrawn in time.

use std::time::Duration;

use tinmesh_core::dataplane::fib::Mode;
use tinmesh_core::node::io::Input;

use crate::bench::*;

const STATION: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SECOND: Duration = Duration::from_secs(1);

/// A switch with one neighbour, which has heard of a station on its wire.
fn learnt() -> Bench {
    let mut bench = Bench::with(|config| {
        config.policy.mode = Mode::Switch;
        config.timing.mac_expire = SECOND * 30;
    })
    .neighbour("bob", USUAL);
    bench.forget();
    bench.handle(Input::Learnt(STATION));
    bench
}

fn ends_with(requests: &[String], end: &str) -> bool {
    requests.iter().any(|request| request.ends_with(end))
}

#[test]
fn s6_1_a_new_station_is_announced_once() {
    let mut bench = learnt();

    bench.handle(Input::Learnt(STATION));

    let announced = bench.heard("bob", "10");
    assert_eq!(announced.len(), 1, "{announced:?}");
    assert!(ends_with(&announced, " me 02:00:00:00:00:01"), "{announced:?}");
}

#[test]
fn s6_1_a_silent_station_is_forgotten() {
    let mut bench = learnt();

    bench.wait(SECOND * 25);
    assert!(bench.heard("bob", "11").is_empty(), "it may be silent for thirty seconds");
    bench.wait(SECOND * 20);

    assert!(ends_with(&bench.heard("bob", "11"), " me 02:00:00:00:00:01"));
}

#[test]
fn s6_1_new_stations_do_not_put_ageing_off() {
    let mut bench = learnt();

    for last in 2..20 {
        bench.wait(SECOND * 3);
        bench.handle(Input::Learnt([2, 0, 0, 0, 0, last]));
    }

    assert!(ends_with(&bench.heard("bob", "11"), " me 02:00:00:00:00:01"));
}

#[test]
fn s6_1_a_station_that_shows_itself_elsewhere_has_moved() {
    let mut bench = learnt();

    bench.say("bob", "10 abc bob 02:00:00:00:00:01");

    assert!(ends_with(&bench.heard("bob", "11"), " me 02:00:00:00:00:01"));
}

#[test]
fn s6_1_a_router_learns_nothing() {
    let mut bench = Bench::new().neighbour("bob", USUAL);
    bench.forget();

    bench.handle(Input::Learnt(STATION));

    assert!(bench.heard("bob", "10").is_empty());
}
