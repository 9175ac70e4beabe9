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

/// What `docs/configuration.md` says of a variable: where it may stand, its default, what a reload does, and its state.
fn documented() -> Vec<(&'static str, [&'static str; 4])> {
    let text = include_str!("../../../../../docs/configuration.md");
    let section = text.split("\n## ").find(|section| section.starts_with("Variables\n")).unwrap();
    let tables = section.split("\n### ").skip(1);
    let rows = tables.flat_map(str::lines).filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>()).filter(|cells| cells.len() == 6);
    let variables = cells.filter(|cells| !["variable", "---"].contains(&cells[0]));
    variables.map(|cells| (cells[0], [cells[1], cells[2], reload_class(cells[3]), cells[4]])).collect()
}

/// The table of variables does not tell whether a change counts for what is there already.
fn reload_class(told: &'static str) -> &'static str {
    if told == "new" { "yes" } else { told }
}

#[test]
fn the_document_tells_of_every_variable_what_the_table_tells() {
    let mut in_document: Vec<_> =
        documented().into_iter().map(|(name, facts)| (name, facts.map(str::to_owned))).collect();
    let mut in_table: Vec<_> = VARIABLES.iter().map(|variable| (variable.name, facts(variable))).collect();
    in_document.sort_unstable();
    in_table.sort_unstable();

    assert_eq!(in_document.len(), in_table.len());
    for (told, true_) in in_document.iter().zip(&in_table) {
        assert_eq!(told, true_);
    }
}

/// The same of a variable of the table, in the document's words.
fn facts(variable: &Variable) -> [String; 4] {
    let class = &variable.class;
    let letters =
        [("T", class.server), ("H", class.host), ("M", class.multiple), ("I", class.safe), ("O", class.obsolete)];
    let place = letters.iter().filter(|(_, set)| *set).map(|(letter, _)| *letter).collect();
    let default = if variable.default.is_empty() { "-".to_owned() } else { format!("`{}`", variable.default) };
    let state = match variable.support {
        Support::Honoured => "done",
        Support::Pointless => "none",
    };
    let reload = match (variable.support, variable.restart) {
        (Support::Pointless, _) => "-",
        (Support::Honoured, true) => "no",
        (Support::Honoured, false) => "yes",
    };
    [place, default, reload.to_owned(), state.to_owned()]
}

/// The second table of the document names a test for each variable; it must be there.
#[test]
fn the_document_names_a_test_for_every_variable() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = std::fs::read_to_string(root.join("../docs/configuration.md")).unwrap();
    let (_, evidence) = document.split_once("## Shown by").unwrap();
    let rows = evidence.lines().filter_map(|line| line.strip_prefix("| "));
    let named: std::collections::BTreeMap<&str, (&str, &str)> = rows
        .filter_map(|row| {
            let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            Some((*cells.first()?, (*cells.get(1)?, *cells.get(2)?)))
        })
        .collect();
    for variable in VARIABLES {
        let (file, test) = named.get(variable.name).unwrap_or_else(|| panic!("no test for {}", variable.name));
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test} for {}", variable.name);
    }
}
