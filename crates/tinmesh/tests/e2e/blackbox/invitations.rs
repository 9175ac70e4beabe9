//! `invite`, `join`, `dump invitations` (spec: cli B.4, B.10, B.11).

use super::case::{Aspect, Case, Fixture, all_same, same};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = all_same([
        "tinc dump invitations",
        "tinc list Invitations",
        "mkdir invitations; printf 'Name = dave\\n' > invitations/AAAAAAAAAAAAAAAAAAAAAAAA; tinc dump invitations",
        "mkdir invitations; printf 'nonsense\\n' > invitations/AAAAAAAAAAAAAAAAAAAAAAAA; tinc dump invitations",
        "mkdir invitations; echo > invitations/short; tinc dump invitations",
        "mkdir invitations; printf 'Name = dave\\n' > invitations/AAAAAAAAAAAAAAAAAAAAAAAA.used; tinc dump invitations",
        "tinc dump invitations x",
        "tinc invite",
        "tinc invite a-b",
        "tinc invite bob",
        "sed -i /Name/d tinc.conf; tinc invite dave",
    ]);
    cases.push(same("tinc invite a b; rm -rf invitations").differs("invite-many", &[Aspect::Out, Aspect::Err]));
    cases.push(
        same(
            "tinc invite dave | sed 's/[A-Za-z0-9_-]*$//'; stat -c %a invitations invitations/*; \
             rm invitations/*.priv; head -n 4 invitations/*; rm -r invitations",
        )
        .differs("invite-silent", &[Aspect::Err]),
    );
    cases.extend(join());
    cases
}

fn join() -> Vec<Case> {
    const FILES: &[Aspect] = &[Aspect::Files];
    let bare = |script: &'static str| same(script).on(Fixture::Bare).differs("join-leaves-nothing", FILES);
    vec![
        same("tinc join a b"),
        same("tinc join nonsense"),
        bare("tinc join localhost/short"),
        bare("tinc join ''"),
        bare("tinc join").input("nonsense\n"),
        bare("tinc join localhost:7000:1/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
            .differs("join-url", &[Aspect::Err]),
    ]
}
