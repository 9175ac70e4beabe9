//! The table of variables against the specification.

use super::*;

#[test]
fn names_are_found_in_any_case_and_occur_once() {
    for variable in VARIABLES {
        let found = Variable::find(&variable.name.to_uppercase()).unwrap();
        assert_eq!(found.name, variable.name);
        let same = VARIABLES.iter().filter(|other| other.name.eq_ignore_ascii_case(variable.name));
        assert_eq!(same.count(), 1, "{}", variable.name);
    }
}

#[test]
fn every_default_is_a_value_of_its_variable() {
    for variable in VARIABLES.iter().filter(|variable| !variable.default.is_empty()) {
        let canonical = variable.kind.canonical(variable.default);
        assert_eq!(canonical.as_deref(), Some(variable.default), "{}", variable.name);
    }
}

/// Spec invitations 5.3: what an inviter may set in the files of a joiner.
#[test]
fn the_safe_variables_are_those_of_tinc_and_our_own() {
    let safe = |host: bool| {
        let fits = move |variable: &&Variable| variable.class.safe && variable.tinc && variable.class.host == host;
        VARIABLES.iter().filter(fits).map(|variable| variable.name).collect::<Vec<_>>().join(" ")
    };

    assert_eq!(
        safe(false),
        "AddressFamily AutoConnect Broadcast BroadcastSubnet ConnectTo DecrementTTL DirectOnly KeyExpire LocalDiscovery \
         MACExpire MaxConnectionBurst MaxOutputBufferSize MaxTimeout Mode MTUInfoInterval PingInterval PingTimeout \
         ReplayWindow StrictSubnets TunnelServer UDPDiscovery UDPDiscoveryInterval UDPDiscoveryKeepaliveInterval \
         UDPDiscoveryTimeout UDPInfoInterval"
    );
    assert_eq!(safe(true), "ClampMSS Compression IndirectData Subnet TCPOnly Weight");
}

#[test]
fn a_misspelt_name_is_recognised_and_a_foreign_one_is_not() {
    let like = |name| Variable::like(name).map(|variable| variable.name);
    assert_eq!(like("ConectTo"), Some("ConnectTo"));
    assert_eq!(like("AutoConect"), Some("AutoConnect"));
    assert_eq!(like("subnets"), Some("Subnet"));
    assert_eq!(like("SomethingElse"), None);
    assert_eq!(like(""), None);
}

#[test]
fn distance_counts_single_letters() {
    assert_eq!(distance("kitten", "sitting"), 3);
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(distance("abc", "abc"), 0);
}
