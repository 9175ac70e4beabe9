//! `invite`, `join`, `dump invitations` (spec: cli B.4, B.10, B.11).

use super::case::{Case, Fixture, all_same, same};

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
        "tinc invite a b",
        "tinc invite a-b",
        "tinc invite bob",
        "sed -i /Name/d tinc.conf; tinc invite dave",
        "tinc invite dave | sed 's/[A-Za-z0-9_-]*$//'; ls invitations | wc -l; stat -c %a invitations invitations/*; rm -r invitations",
        "tinc join a b",
        "tinc join nonsense",
    ]);
    let urls = [
        "tinc join localhost/short",
        "tinc join localhost:7000:1/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "tinc join ''",
    ];
    cases.extend(urls.map(|script| same(script).on(Fixture::Bare)));
    cases.push(same("tinc join").on(Fixture::Bare));
    cases.push(same("tinc join").on(Fixture::Bare).input("nonsense\n"));
    cases
}
