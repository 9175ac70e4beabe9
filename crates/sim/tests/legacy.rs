//! Meshes with nodes that speak only the protocol of tinc 1.0.

use std::sync::Arc;

use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::legacy::cipher::Cipher;
use tinmesh_core::legacy::digest::Digest;
use tinmesh_core::legacy::rsa::PrivateKey;
use tinmesh_core::legacy::session::Suite;
use tinmesh_core::node::config::Legacy;
use tinmesh_sim::{Host, Nat, World, minutes, secs};

/// Gives all of them RSA keys, and each of them those of the others that it knows; those of tinc 1.0 have no others.
fn use_rsa(nodes: &[(Host<'_>, bool)]) {
    let key = |number: u8| PrivateKey::generate(1024, &mut Rng::from_seed([number; 32])).expect("a proper size");
    let keys: Vec<PrivateKey> = (1..).take(nodes.len()).map(key).collect();
    let suite = Suite { cipher: Cipher::by_id(427), digest: Digest::by_id(672), mac_length: 4, compression: 0 };
    let names: Vec<String> = nodes.iter().map(|(node, _)| node.name()).collect();
    for (at, &(node, only)) in nodes.iter().enumerate() {
        let _ = node.configure(|config| {
            config.legacy = Some(Legacy { key: Arc::new(keys[at].clone()), suite, weak: false, only });
            for ((&(_, other_only), key), other) in nodes.iter().zip(&keys).zip(&names) {
                let known = config.hosts.iter_mut().find(|(name, _)| name.to_string() == *other);
                if let Some((_, host)) = known {
                    host.rsa = Some(key.public().clone());
                    if only || other_only {
                        host.key = None;
                    }
                }
            }
        });
    }
}

#[test]
fn old_and_new_nodes_talk_and_none_is_mistaken_for_the_other() {
    let world = World::new(1);
    let hub = world.node("hub");
    let [old, older, new] = ["old", "older", "new"].map(|name| world.node(name).knows(hub));
    use_rsa(&[(hub, false), (old, true), (older, true), (new, false)]);
    world.settle(secs(60));

    let all = [hub, old, older, new];
    for from in all {
        for to in all.into_iter().filter(|to| to.name() != from.name()) {
            assert!(world.ping(from, to).arrives(), "{from:?} to {to:?}");
            assert!(world.ping6(from, to).arrives(), "{from:?} to {to:?}");
        }
    }
    let sptps = |from: Host<'_>, to| from.info(to).unwrap().status & 0x40 != 0;
    assert!(sptps(hub, new) && sptps(new, hub));
    assert!(!sptps(hub, old) && !sptps(new, old) && !sptps(old, hub) && !sptps(old, older));
}

#[test]
fn an_old_node_behind_nat_is_reached_and_comes_back_after_a_restart() {
    let world = World::new(2);
    let hub = world.node("hub");
    let old = world.node("old").behind(Nat::port_restricted_cone()).knows(hub);
    let new = world.node("new").behind(Nat::port_restricted_cone()).knows(hub);
    use_rsa(&[(hub, false), (old, true), (new, false)]);
    world.settle(secs(60));
    assert!(world.ping(new, old).arrives());

    old.kill();
    world.run_for(minutes(2));
    old.restart();
    world.run_for(minutes(1));

    assert!(world.ping(new, old).arrives());
    assert!(world.ping(old, new).arrives());
}

#[test]
fn keys_that_expire_cost_no_packets() {
    let world = World::new(3);
    let hub = world.node("hub").configure(|config| config.timing.key_expire = secs(20));
    let old = world.node("old").knows(hub).configure(|config| config.timing.key_expire = secs(30));
    use_rsa(&[(hub, false), (old, true)]);
    world.settle(secs(60));
    assert!(world.ping(hub, old).arrives());

    let report = world.talk(hub, old, minutes(3));

    assert_eq!(report.arrived, report.sent, "{report:?}");
}

#[test]
fn old_nodes_are_connected_to_by_choice_only_if_their_key_is_known() {
    let world = World::new(4);
    let hub = world.node("hub");
    let stranger = world.node("stranger").knows(hub);
    let friend = world.node("friend").knows(hub);
    let new = world.node("new").knows(hub).trusts(friend).auto_connects();
    use_rsa(&[(hub, false), (stranger, true), (friend, true), (new, false)]);
    world.settle(secs(60));

    world.run_for(minutes(3));

    assert_eq!(new.neighbours(), ["friend", "hub"]);
    assert!(world.ping(new, stranger).arrives());
}
