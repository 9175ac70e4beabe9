//! `export`, `import`, `exchange` and their forms for all (spec: cli B.9).

use super::case::{Aspect, Case, all_same, same};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = all_same([
        "tinc export",
        "tinc export x",
        "echo 'Name = other' >> hosts/alice; echo '  Name = third' >> hosts/alice; tinc export",
        "rm hosts/alice; tinc export",
        "sed -i /Name/d tinc.conf; tinc export",
        "rm hosts/bob; tinc export-all",
        "rm hosts/alice; echo > hosts/a-b; echo > hosts/bob~; tinc export-all",
        "tinc export-all x",
        "tinc import x",
        "tinc exchange x",
        "tinc exchange-all x",
        "rm hosts/bob; tinc export-all | tail -n 3",
    ]);
    let inputs = [
        "",
        "Name = dave\nPort = 5\n",
        "Name=dave\nPort = 5\n",
        "Name dave\nPort = 5\n",
        "junk\nName = dave\nPort = 5\n",
        "name = dave\nPort = 5\n",
        "Name = a-b\nPort = 5\n",
        "Name = bob\nPort = 5\n",
        "Name = dave\nPort = 5\n#---------------------------------------------------------------#\nName = eve\nPort = 6\n",
        "\nName = dave\n",
        "Name = bob\nPort = 5\nName = dave\nPort = 6\n",
    ];
    cases.extend(inputs.map(|input| same("tinc import").input(input)));
    let unended = same("tinc import").input("Name = dave\nPort = 5");
    cases.push(unended.differs("import-newline", &[Aspect::Files]));
    // The order is that of the directory.
    cases.push(same("tinc export-all | sort").differs("export-separator", &[Aspect::Out]));
    cases.push(same("tinc --force import").input("Name = bob\nPort = 5\n"));
    cases.push(same("tinc exchange").input("Name = dave\nPort = 5\n"));
    cases.push(same("tinc exchange").input(""));
    cases.push(same("rm hosts/alice; tinc exchange").input("Name = dave\nPort = 5\n"));
    cases.push(same("rm hosts/bob; tinc exchange-all").input("Name = dave\nPort = 5\n"));
    cases
}
