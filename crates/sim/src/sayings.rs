//! What the nodes of a world say of each other, signed with their keys.

use fides::{About, Claim, Sign, Subject, Time, Word};
use tinmesh_core::dataplane::verdict::DropReason;
use tinmesh_core::node::io::Command;
use tinmesh_core::trust;

use crate::engine::{EPOCH_MS, Engine};
use crate::host::Host;
use crate::internet::HostId;
use crate::machine::{Brain, Machine};

impl Host<'_> {
    /// Counts another node, or itself, as a founder.
    #[must_use]
    pub fn founded_by(self, founder: Host<'_>) -> Self {
        let founder = self.world().machine(founder.id, |machine| trust::key(&machine.key.public()));
        self.configure(|config| {
            config.trust.founders.insert(founder);
        })
    }

    /// Says of another node that it may do something, may not, or neither: `words` are a topic, its arguments, and limits
    /// as `NAME=NUMBER`. A node that does not run yet finds it among what it kept.
    ///
    /// # Panics
    /// If there is no such statement, or the node does not take it.
    pub fn says(self, sign: Sign, of: Host<'_>, words: &str) {
        let subject = self.world().machine(of.id, |machine| Subject::Key(trust::key(&machine.key.public())));
        self.world().with_engine(|engine| say(engine, self.id, sign, subject, words));
    }

    /// Says the same of a group.
    ///
    /// # Panics
    /// As [`says`](Self::says).
    pub fn says_of_group(self, sign: Sign, group: &str, words: &str) {
        let subject = Subject::Group(word(group));
        self.world().with_engine(|engine| say(engine, self.id, sign, subject, words));
    }

    /// Says that another node may be in the mesh, and may have its two addresses there. Nodes that do not run yet know it
    /// from the start.
    ///
    /// # Panics
    /// As [`says`](Self::says).
    pub fn admits(self, other: Host<'_>) {
        for member in [self, other] {
            self.says(Sign::Yes, member, &format!("join {}", member.name()));
        }
        for v6 in [false, true] {
            self.says(Sign::Yes, other, &format!("own {}", Machine::inner(other.id, v6)));
        }
        self.world().with_engine(|engine| {
            let told = engine.machine(self.id).statements.clone();
            let others = engine.machines.iter_mut().filter(|machine| !machine.is_running());
            others.for_each(|machine| machine.statements.clone_from(&told));
        });
    }

    /// Packets that it dropped for a reason.
    pub fn dropped(self, reason: DropReason) -> u64 {
        self.world().machine(self.id, |machine| {
            let by_node = match &machine.brain {
                Brain::Node(node) => node.counters().dropped(reason),
                Brain::Actor(_) | Brain::Off => 0,
            };
            by_node + machine.scratch.counters.dropped(reason)
        })
    }
}

fn word(text: &str) -> Word {
    Word::new(text).expect("tests write proper words")
}

fn say(engine: &mut Engine, by: HostId, sign: Sign, subject: Subject, words: &str) {
    let (limits, words): (Vec<&str>, Vec<&str>) = words.split(' ').partition(|word| word.contains('='));
    let mut words = words.into_iter().map(word);
    let about = About::Allow { subject, topic: words.next().expect("a topic"), args: words.collect() };
    let now = EPOCH_MS + engine.now.as_micros() / 1_000;
    let machine = engine.machine_mut(by);
    machine.sayings += 1;
    let claim = Claim::new(sign, about, now + machine.sayings, Time(now / 1_000));
    let claim = limits
        .iter()
        .filter_map(|limit| limit.split_once('='))
        .fold(claim, |claim, (name, number)| claim.limit(word(name), number.parse().expect("a number")));
    let line = claim.sign(&trust::secret_key(&machine.key)).expect("a statement").to_string();
    if machine.is_running() {
        engine.command(by, Command::Accept(vec![line]));
    } else {
        machine.statements.push_str(&line);
        machine.statements.push('\n');
    }
}
