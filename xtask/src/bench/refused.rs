//! What a row's programs are refused, all by the same means, so that they can be compared without it.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::wires::Site;

/// The word by which this program is told to start another one without UDP's offloads.
pub(crate) const WITHOUT_UDP: &str = "bench-without-udp-offload";

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// `UDP_SEGMENT` and `UDP_GRO`: the socket options are unknown, as on kernels before Linux 4.18 and 5.0.
    Udp,
    /// Large packets of the device: the kernel cuts what TCP sends before the device has it.
    Device,
    /// Both.
    Both,
}

impl Refused {
    const fn udp(self) -> bool {
        matches!(self, Self::Udp | Self::Both)
    }

    const fn device(self) -> bool {
        matches!(self, Self::Device | Self::Both)
    }
}

/// How a program is started on a machine.
pub(super) fn command(refused: Option<Refused>, site: &Site, program: &std::path::Path) -> Result<Command> {
    if !refused.is_some_and(Refused::udp) {
        return Ok(site.namespace.command(program));
    }
    let own = std::env::current_exe().context("cannot find this program")?;
    let mut command = site.namespace.command(own);
    command.arg(WITHOUT_UDP).arg(program);
    Ok(command)
}

/// The line of a shell that takes large packets from a device; nothing if they are not refused.
pub(super) fn device_line(refused: Option<Refused>, interface: &str) -> String {
    if !refused.is_some_and(Refused::device) {
        return String::new();
    }
    format!("ethtool -K {interface} tso off gso off tx-udp-segmentation off\n")
}

/// Becomes `program`, which can no longer use `UDP_SEGMENT` and `UDP_GRO`.
pub(crate) fn without_udp(program: &str, words: &[&str]) -> Result<()> {
    seccompiler::apply_filter(&filter()?).context("the kernel took no filter of system calls")?;
    Err(Command::new(program).args(words).exec()).with_context(|| format!("cannot run {program}"))
}

/// Both options are unknown to whoever asks for them or sets them.
fn filter() -> Result<BpfProgram> {
    let is = |argument: u8, value: libc::c_int| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.unsigned_abs().into())
    };
    let rules = [libc::UDP_SEGMENT, libc::UDP_GRO]
        .into_iter()
        .map(|option| Ok(SeccompRule::new(vec![is(1, libc::SOL_UDP)?, is(2, option)?])?));
    let rules = rules.collect::<Result<Vec<_>>>()?;
    let calls = BTreeMap::from([(libc::SYS_setsockopt, rules.clone()), (libc::SYS_getsockopt, rules)]);
    let unknown = SeccompAction::Errno(libc::ENOPROTOOPT.unsigned_abs());
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, unknown, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}
