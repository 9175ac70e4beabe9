//! The laboratory's scenes: a mark that is reached stays reached.

use tinmesh_sim::lab::scenes::SCENES;

/// Scenes whose marks are not reached; the scoreboard (docs/lab.md) shows by how much. Whoever reaches one takes it out.
const MISSED: &[&str] = &[
    "path shrinks to 1,300 B under traffic of 1,400 B: until the size is known",
    "packets of 1,400 B that may not be cut, on that path: answered after 3 s",
    "path of 1,300 B while it is loaded: 1,350 B answered after 5 s",
    "NAT forgets its mappings: longest silence",
];

#[test]
fn marks_that_were_reached_stay_reached() {
    let held = SCENES.iter().filter(|scene| !MISSED.contains(&scene.title));
    for scene in held {
        for seed in 0..3 {
            let value = (scene.play)(seed);
            assert!(scene.mark.is_reached(value), "{}: {value} {}, {:?}", scene.title, scene.unit, scene.mark);
        }
    }
}

#[test]
fn every_scene_that_is_excused_exists() {
    for title in MISSED {
        assert!(SCENES.iter().any(|scene| scene.title == *title), "{title}");
    }
}
