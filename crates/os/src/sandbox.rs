//! Taking rights away from this process for good: files by Landlock, system calls by seccomp (spec: configuration 10.1).
//!
//! Landlock lists what may be read and written; everything else is refused, whoever owns it. The filter of system calls
//! names what a running daemon never does. It is a list of what is refused, not of what is allowed, because the C
//! library's name look-ups load modules that call what they like; what matters is that no program can be started, no
//! other process touched, no socket but the usual ones opened, and the kernel's rarely used doors stay shut.

use std::collections::BTreeMap;
use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::process::has_one_thread;

/// What stays possible.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Files, and directories with all that is below, that may be read.
    pub read: Vec<PathBuf>,
    /// Directories in which files may be made, changed and removed, and files that may be written.
    pub write: Vec<PathBuf>,
    /// Whether programs may be started. They inherit these limits.
    pub programs: bool,
}

/// How much of the limits the kernel keeps up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// All.
    Full,
    /// Files are guarded as far as an older kernel can: it may not refuse to cut a file short, nor guard devices.
    OlderKernel,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel lacks Landlock, or it is switched off.
    #[error(
        "this kernel has no Landlock (Linux 5.13 and later, with `landlock` in the list of security modules): choose \
         Sandbox = off, or boot with lsm=landlock,…"
    )]
    NoLandlock,
    /// Limits are for threads; those that run already would be free.
    #[error("a sandbox must be entered before threads are started")]
    Threads,
    /// The kernel refused the rules about files.
    #[error("the kernel refused the rules about files: {0}")]
    Files(#[from] landlock::RulesetError),
    /// The kernel refused the rules about system calls.
    #[error("the kernel refused the rules about system calls: {0}")]
    Calls(#[from] seccompiler::Error),
}

impl From<seccompiler::BackendError> for SandboxError {
    fn from(cause: seccompiler::BackendError) -> Self {
        Self::Calls(cause.into())
    }
}

/// Enters the sandbox: this thread, and all that it starts. There is no way back.
///
/// # Errors
/// If the kernel cannot keep up the limits. Some of them may be in force then, so the process should end.
pub fn enter(limits: &Limits) -> Result<Strength, SandboxError> {
    if !has_one_thread() {
        return Err(SandboxError::Threads);
    }
    let strength = guard_files(limits)?;
    for filter in filters(limits.programs)? {
        seccompiler::apply_filter(&filter)?;
    }
    Ok(strength)
}

fn guard_files(limits: &Limits) -> Result<Strength, SandboxError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .map_err(|_| SandboxError::NoLandlock)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .scope(Scope::from_all(ABI::V6))?;
    let mut rules = ruleset
        .create()?
        .add_rules(path_beneath_rules(&limits.read, read))?
        .add_rules(path_beneath_rules(&limits.write, read | writing()))?;
    if limits.programs {
        rules = rules.add_rules(path_beneath_rules(["/"], read | AccessFs::Execute))?;
    }
    match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Ok(Strength::Full),
        RulesetStatus::PartiallyEnforced => Ok(Strength::OlderKernel),
        RulesetStatus::NotEnforced => Err(SandboxError::NoLandlock),
    }
}

/// Making, changing and removing plain files, and renaming them.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate | AccessFs::Refer
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters, to be applied one after the other.
fn filters(programs: bool) -> Result<Vec<BpfProgram>, SandboxError> {
    let mut refused: Rules = REFUSED.iter().map(|&number| (number, Vec::new())).collect();
    refused.insert(libc::SYS_socket, other_sockets()?);
    // The C library then uses `clone`, whose flags can be seen.
    let mut unknown = Rules::new();
    if !programs {
        refused.extend(STARTING.iter().map(|&number| (number, Vec::new())));
        refused.insert(libc::SYS_clone, vec![no_thread()?]);
        unknown.insert(libc::SYS_clone3, Vec::new());
    }
    also_by_other_numbers(&mut refused);
    let errors = [(refused, libc::EPERM), (unknown, libc::ENOSYS)];
    errors.into_iter().filter(|(rules, _)| !rules.is_empty()).map(|(rules, error)| program(rules, error)).collect()
}

fn program(rules: Rules, error: i32) -> Result<BpfProgram, SandboxError> {
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error.cast_unsigned()), arch)?;
    Ok(filter.try_into()?)
}

fn condition(argument: u8, op: SeccompCmpOp, value: i32) -> Result<SeccompCondition, SandboxError> {
    let value = u64::from(value.cast_unsigned());
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)?)
}

/// A `clone` that makes a process instead of a thread.
fn no_thread() -> Result<SeccompRule, SandboxError> {
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    Ok(SeccompRule::new(vec![condition(0, SeccompCmpOp::MaskedEq(thread), 0)?])?)
}

/// Sockets that are neither UNIX, nor TCP or UDP, nor for questions about addresses and routes.
fn other_sockets() -> Result<Vec<SeccompRule>, SandboxError> {
    const TYPE_MASK: u64 = 0xf;
    // `SOCK_PACKET`, with which the kernel makes packet sockets of the internet's family.
    const OLD_PACKET: i32 = 10;
    let usual = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let other = usual.iter().map(|&family| condition(0, SeccompCmpOp::Ne, family)).collect::<Result<_, _>>()?;
    let mut rules = vec![SeccompRule::new(other)?];
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_RAW, OLD_PACKET] {
            let conditions =
                vec![condition(0, SeccompCmpOp::Eq, family)?, condition(1, SeccompCmpOp::MaskedEq(TYPE_MASK), kind)?];
            rules.push(SeccompRule::new(conditions)?);
        }
    }
    let netlink =
        vec![condition(0, SeccompCmpOp::Eq, libc::AF_NETLINK)?, condition(2, SeccompCmpOp::Ne, libc::NETLINK_ROUTE)?];
    rules.push(SeccompRule::new(netlink)?);
    Ok(rules)
}

/// Calls that start programs or processes.
const STARTING: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// Calls that no running daemon makes: other processes, the machine as a whole, name spaces, and doors of the kernel
/// that few use and many have broken.
const REFUSED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_mknodat,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_personality,
    libc::SYS_fanotify_init,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// The same calls can be reached by the numbers of x32 where the kernel has that; nobody uses it, so no rule for sockets
/// is needed there: all are refused, and so are the numbers that x32 has alone.
#[cfg(target_arch = "x86_64")]
fn also_by_other_numbers(rules: &mut Rules) {
    const X32: i64 = 0x4000_0000;
    let doubled: Vec<i64> = rules.keys().map(|number| number | X32).collect();
    rules.extend(doubled.into_iter().chain((512..=547).map(|number| number | X32)).map(|number| (number, Vec::new())));
}

#[cfg(not(target_arch = "x86_64"))]
fn also_by_other_numbers(_: &mut Rules) {}
