//! A day in one hour of virtual time: nodes move, sleep and restart, networks change, providers misbehave.
//!
//! After every few events the nodes get two minutes. Then no pair may be apart that the emulator's own oracle says members
//! could join.

use std::time::Duration;

use crate::dice::Dice;
use crate::host::Host;
use crate::isp::{TcpRule, UdpRule};
use crate::nat::{Dependence, Nat, Ports};
use crate::world::{World, millis, minutes, secs};

const HOUR: u64 = 3_600;
const SERVERS: usize = 3;
const TRAVELLERS: usize = 7;
/// How long a pair may need after the last event.
pub const GRACE: Duration = minutes(2);

/// What a day was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many pairs were looked at, all looks together.
    pub pairs: usize,
    /// The longest time from the last event of a few until all pairs that can be were joined.
    pub slowest: Duration,
    /// The pairs that stayed apart, each after what happened.
    pub apart: Vec<String>,
}

struct Day<'w> {
    world: &'w World,
    dice: Dice,
    servers: Vec<Host<'w>>,
    travellers: Vec<Host<'w>>,
    /// What was done since the last look, for the message of a failure.
    story: Vec<String>,
    asleep: Vec<Host<'w>>,
}

fn some_nat(dice: &mut Dice) -> Nat {
    let depends = |dice: &mut Dice| Dependence::ALL[usize::try_from(dice.below(3)).expect("is small")];
    let ports = [Ports::Preserving, Ports::Sequential { step: 1 }, Ports::Random, Ports::Block(512)];
    let ports = ports[usize::try_from(dice.below(4)).expect("is small")];
    let (mapping, filtering) = (depends(dice), depends(dice));
    Nat::new(mapping, filtering, ports).with_lifetime(secs(30 + dice.below(120)))
}

impl<'w> Day<'w> {
    fn begin(world: &'w World, seed: u64) -> Self {
        world.expect_refusals();
        let mut dice = Dice::new(seed);
        let mut servers: Vec<Host<'w>> = Vec::new();
        for number in 0..SERVERS {
            let server = world.node(&format!("server{number}")).auto_connects();
            servers.push(servers.iter().fold(server, |server, &other| server.knows(other)));
        }
        let travellers = (0..TRAVELLERS).map(|number| {
            let host = world.node(&format!("traveller{number}")).auto_connects();
            let (one, other) = (servers[number % SERVERS], servers[(number + 1) % SERVERS]);
            host.behind(some_nat(&mut dice)).knows(one).knows_by_name(other)
        });
        let travellers = travellers.collect();
        Self { world, dice, servers, travellers, story: Vec::new(), asleep: Vec::new() }
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.dice.below(list.len() as u64)).expect("is small")]
    }

    /// Something happens to someone.
    fn event(&mut self) {
        let host = self.pick(&self.travellers.clone());
        let server = self.pick(&self.servers.clone());
        if self.asleep.contains(&host) {
            host.resume();
            self.asleep.retain(|sleeper| *sleeper != host);
            return self.story.push(format!("{host:?} wakes"));
        }
        let what = match self.dice.below(14) {
            0 => {
                host.move_to_new_address();
                "gets a public address"
            }
            1..=3 => {
                let nat = self.world.nat(some_nat(&mut self.dice));
                host.move_behind(nat);
                "moves to another home"
            }
            4 => {
                let carrier = self.world.nat(some_nat(&mut self.dice));
                let nat = some_nat(&mut self.dice);
                host.move_behind(self.world.nat_behind(carrier, nat));
                "moves behind a carrier's NAT"
            }
            5 => {
                host.rebind_nat();
                "has a router that forgets"
            }
            6 => {
                host.suspend();
                self.asleep.push(host);
                "sleeps"
            }
            7 => {
                host.restart();
                "restarts"
            }
            8 => {
                let rules = [
                    UdpRule::Passes,
                    UdpRule::Blocked,
                    UdpRule::AnswersOnly,
                    UdpRule::AfterAnswer { tries: 10 },
                    UdpRule::Policed { rate: 12_500, burst: 3_000 },
                ];
                let udp = self.pick(&rules);
                host.set_isp(|isp| isp.udp = udp);
                "has another rule for UDP"
            }
            9 => {
                let tcp = self.pick(&[TcpRule::Passes, TcpRule::WebOnly, TcpRule::Passes]);
                host.set_isp(|isp| isp.tcp = tcp);
                "has another rule for TCP"
            }
            10 => {
                let mtu = self.pick(&[1_500, 1_280, 1_400, 1_000]);
                host.set_link_mtu(mtu, self.dice.chance(500));
                "has another link"
            }
            11 => {
                let broken = self.dice.chance(500);
                host.break_dns(broken);
                "has other name servers"
            }
            12 => {
                let loss = self.pick(&[0, 20, 50]);
                let _ = host.link(|link| (link.loss, link.jitter) = (loss, millis(u64::from(loss))));
                "has another loss"
            }
            _ => {
                server.restart();
                return self.story.push(format!("{server:?} restarts"));
            }
        };
        self.story.push(format!("{host:?} {what}"));
    }

    /// Waits for every pair that could be joined.
    fn look(&mut self, outcome: &mut Outcome) {
        let begin = self.world.now();
        let mut missing = self.world.joined_pairs();
        outcome.pairs += missing.len();
        while !missing.is_empty() && self.world.now().since(begin) <= GRACE {
            missing.retain(|&(a, b)| !self.world.ping(a, b).arrives());
        }
        outcome.slowest = outcome.slowest.max(self.world.now().since(begin));
        outcome.apart.extend(missing.iter().map(|pair| format!("{pair:?} after {:?}", self.story)));
        self.story.clear();
    }
}

/// Plays a day.
pub fn play(seed: u64) -> Outcome {
    let world = World::new(seed);
    let mut day = Day::begin(&world, seed);
    let mut outcome = Outcome::default();
    world.run_for(minutes(1));
    while world.now().as_micros() / 1_000_000 < HOUR {
        for _ in 0..3 {
            day.event();
            let pause = day.dice.below(20_000);
            world.run_for(millis(pause));
        }
        day.look(&mut outcome);
    }
    outcome
}
