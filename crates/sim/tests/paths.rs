//! Paths that are cut, throttled, narrowed or moved under traffic: the scenes of the laboratory keep to their marks.

use tinmesh_sim::lab::scenes::SCENES;

/// Plays every scene of a group whose title has `words`, with a few seeds.
fn play(group: &str, words: &str, at_least: usize) {
    let scenes: Vec<_> = SCENES.iter().filter(|scene| scene.group == group && scene.title.contains(words)).collect();
    assert!(scenes.len() >= at_least, "{} scenes", scenes.len());
    for scene in scenes {
        for seed in 0..4 {
            let value = (scene.play)(seed);
            let told = format!("{}: {value:.3} {} (seed {seed})", scene.title, scene.unit);
            assert!(scene.mark.is_reached(value), "{told}");
        }
    }
}

#[test]
fn udp_that_is_cut_or_throttled_is_left_within_seconds_and_used_again_when_it_returns() {
    play("G6", "", 4);
}

#[test]
fn the_size_of_a_black_hole_is_found() {
    play("G8", "black hole", 3);
}

#[test]
fn packets_flow_again_within_seconds_when_a_node_has_moved() {
    play("G14", "network", 2);
    play("G14", "both behind NATs", 1);
    play("G14", "address", 1);
    play("G14", "sleep", 2);
}
