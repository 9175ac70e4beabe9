//! The own subnets whose `subnet-up` has run: before the daemon was ready, with all rights; their `subnet-down` runs
//! before `tinc-down` (spec: configuration 6.1, 6.2, 9.2).

use tinmesh_core::node::io::Event;
use tinmesh_core::subnet::Subnet;

use crate::daemon::events::subnet_script;
use crate::daemon::scripts::{Script, ScriptSettings};

/// Own subnets in the order in which they came.
#[derive(Debug)]
pub struct OwnSubnets {
    name: String,
    up: Vec<Subnet>,
}

impl OwnSubnets {
    /// Runs `subnet-up` for each of `subnets`.
    pub fn bring_up(name: &str, subnets: &[Subnet], scripts: &ScriptSettings) -> Self {
        for subnet in subnets {
            scripts.run(&subnet_script("subnet-up", name, name, None, subnet));
        }
        Self { name: name.to_owned(), up: subnets.to_vec() }
    }

    /// Takes note of an event; tells whether its scripts have run already.
    pub fn note(&mut self, event: &Event) -> bool {
        if let Event::SubnetUp { owner, subnet, .. } = event
            && owner.as_str() == self.name
        {
            let known = self.up.contains(subnet);
            if !known {
                self.up.push(*subnet);
            }
            return known;
        }
        if let Event::SubnetDown { owner, subnet, .. } = event
            && owner.as_str() == self.name
        {
            self.up.retain(|up| up != subnet);
        }
        false
    }

    /// The scripts of the end.
    pub fn farewell(&mut self) -> Vec<Script> {
        let script = |subnet: Subnet| subnet_script("subnet-down", &self.name, &self.name, None, &subnet);
        std::mem::take(&mut self.up).into_iter().map(script).collect()
    }
}

#[cfg(test)]
mod tests {
    use tinmesh_core::name::NodeName;

    use super::*;

    #[test]
    fn a_subnet_goes_down_once_however_it_came() {
        let [first, second]: [Subnet; 2] = ["10.1.0.0/16", "10.2.0.0/16"].map(|text| Subnet::parse(text).unwrap());
        let owner = NodeName::parse("alice").unwrap();
        let up = |subnet| Event::SubnetUp { owner: owner.clone(), address: None, subnet };
        let down = |subnet| Event::SubnetDown { owner: owner.clone(), address: None, subnet };
        let mut own = OwnSubnets::bring_up("alice", &[first], &ScriptSettings::default());

        assert!(own.note(&up(first)), "its script has run");
        assert!(!own.note(&up(second)));
        assert!(!own.note(&down(first)));
        assert!(!own.note(&up(first)), "it came anew");
        assert!(!own.note(&down(second)));

        let scripts = own.farewell();
        assert_eq!(scripts.len(), 1);
        assert!(
            scripts[0].name == "subnet-down" && scripts[0].variables.contains(&("SUBNET".into(), "10.1.0.0/16".into()))
        );
    }
}
