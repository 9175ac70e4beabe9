//! The replay window.

use tinmesh_core::crypto::replay::ReplayWindow;

use crate::vectors::{flag, list, number, vectors};

#[test]
fn verdicts_and_expected_numbers_are_those_of_tinc() {
    for case in list(&vectors!("replay_window.json")["cases"]) {
        let start = number(&case["next_expected_at_start"]);
        let window = ReplayWindow::new(u16::try_from(number(&case["window_bytes"])).unwrap(), start);
        for step in list(&case["steps"]) {
            let sequence = number(&step[0]) as u32;

            assert_eq!(window.would_accept(sequence, start), flag(&step[1]), "{} {step}", case["description"]);
            assert_eq!(window.accept(sequence, start).is_ok(), flag(&step[2]), "{} {step}", case["description"]);
            assert_eq!(window.next() as u32, number(&step[3]) as u32, "{} {step}", case["description"]);
        }
    }
}
