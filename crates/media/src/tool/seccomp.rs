//! The system calls that no media tool makes, and that are the way out for a program that an input has taken
//! over: a filter (seccomp(2), classic BPF) that bubblewrap loads just before it starts the program.
//!
//! It is a list of what is denied, so that an encoder which needs one more harmless call goes on working.
//! Denied calls fail with an error; they do not end the program.

use std::io::{self, PipeReader, Write as _};

use libc::{c_long, sock_filter};

/// The processor that numbers of system calls are for (`AUDIT_ARCH_…`); none where this crate has no list.
#[cfg(target_arch = "x86_64")]
const ARCH: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCH: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCH: Option<u32> = None;

/// Mounts, namespaces, other processes, the kernel's modules, keys, clocks and tracing; new names for files
/// that are there, and special files.
const DENIED: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_linkat,
    libc::SYS_lookup_dcookie,
    libc::SYS_migrate_pages,
    libc::SYS_mknodat,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_symlinkat,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// Flags of clone(2) that make a namespace.
const NAMESPACE_FLAGS: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Requests of ioctl(2) that type into a terminal.
const TERMINAL_INPUT: [u32; 2] = [0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */];

/// Numbers from here on are those of the x32 ABI, under which every call of the list has a second one.
#[cfg(target_arch = "x86_64")]
const X32_BIT: u32 = 0x4000_0000;

/// Where the kernel shows the number, the ABI and the low halves of the first two arguments (`struct
/// seccomp_data`).
const NUMBER: u32 = 0;
const ABI: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const SECOND_ARGUMENT: u32 = 24;

/// A pipe from which bubblewrap reads the filter, to its end; none where there is no list for the processor.
pub(super) fn pipe() -> io::Result<Option<PipeReader>> {
    let Some(arch) = ARCH else { return Ok(None) };
    let (reader, mut writer) = io::pipe()?;
    // far less than what a pipe holds
    writer.write_all(&bytes(&filter(arch)))?;
    Ok(Some(reader))
}

fn filter(arch: u32) -> Vec<sock_filter> {
    let mut program =
        vec![load(ABI), skip_unless_other(arch), ret(libc::SECCOMP_RET_KILL_PROCESS), load(NUMBER)];
    #[cfg(target_arch = "x86_64")]
    program.extend([jump(libc::BPF_JGE, X32_BIT, 0, 1), deny(libc::ENOSYS)]);
    for call in DENIED {
        program.extend([is_call(*call, 1), deny(libc::EPERM)]);
    }
    // its flags lie in memory, where a filter cannot look: libraries then use clone
    program.extend([is_call(libc::SYS_clone3, 1), deny(libc::ENOSYS)]);
    program.extend([
        is_call(libc::SYS_clone, 3),
        load(FIRST_ARGUMENT),
        jump(libc::BPF_JSET, NAMESPACE_FLAGS, 0, 1),
        deny(libc::EPERM),
    ]);
    program.push(load(NUMBER));
    program.extend([
        is_call(libc::SYS_socket, 3),
        load(FIRST_ARGUMENT),
        jump(libc::BPF_JEQ, libc::AF_UNIX as u32, 1, 0),
        deny(libc::EAFNOSUPPORT),
    ]);
    program.push(load(NUMBER));
    program.extend([
        is_call(libc::SYS_ioctl, 4),
        load(SECOND_ARGUMENT),
        jump(libc::BPF_JEQ, TERMINAL_INPUT[0], 1, 0),
        jump(libc::BPF_JEQ, TERMINAL_INPUT[1], 0, 1),
        deny(libc::EPERM),
    ]);
    program.push(ret(libc::SECCOMP_RET_ALLOW));
    program
}

/// Goes on if the number that is loaded is this call's, else skips `others`.
fn is_call(call: c_long, others: u8) -> sock_filter {
    jump(libc::BPF_JEQ, u32::try_from(call).unwrap_or(u32::MAX), 0, others)
}

/// Skips the next instruction if this value is loaded.
fn skip_unless_other(value: u32) -> sock_filter {
    jump(libc::BPF_JEQ, value, 1, 0)
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

fn jump(condition: u32, value: u32, if_true: u8, if_false: u8) -> sock_filter {
    instruction(libc::BPF_JMP | condition | libc::BPF_K, value, if_true, if_false)
}

fn deny(error: i32) -> sock_filter {
    ret(libc::SECCOMP_RET_ERRNO | error as u32)
}

fn ret(value: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, value, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// As the kernel reads it.
fn bytes(program: &[sock_filter]) -> Vec<u8> {
    let bytes = |one: &sock_filter| {
        let [c0, c1] = one.code.to_ne_bytes();
        let [k0, k1, k2, k3] = one.k.to_ne_bytes();
        [c0, c1, one.jt, one.jf, k0, k1, k2, k3]
    };
    program.iter().flat_map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const X86_64: u32 = 0xc000_003e;

    /// What the kernel would do with a call: BPF has but a few instructions.
    fn verdict(abi: u32, call: u32, arguments: [u32; 2]) -> u32 {
        let program = filter(ARCH.expect("a list for this processor"));
        let (mut at, mut loaded) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let code = u32::from(code);
            at += 1;
            match code & 7 {
                libc::BPF_RET => return k,
                libc::BPF_LD => {
                    loaded = match k {
                        NUMBER => call,
                        ABI => abi,
                        FIRST_ARGUMENT => arguments[0],
                        SECOND_ARGUMENT => arguments[1],
                        other => panic!("{other} is loaded"),
                    }
                }
                _ => {
                    let is_true = match code & 0xf0 {
                        libc::BPF_JEQ => loaded == k,
                        libc::BPF_JSET => loaded & k != 0,
                        libc::BPF_JGE => loaded >= k,
                        other => panic!("{other} is asked"),
                    };
                    at += usize::from(if is_true { jt } else { jf });
                }
            }
        }
    }

    fn of(call: c_long, arguments: [u32; 2]) -> u32 {
        verdict(ARCH.expect("a list"), u32::try_from(call).expect("a number"), arguments)
    }

    #[rstest]
    #[case::read(libc::SYS_read, [0, 0])]
    #[case::file(libc::SYS_openat, [0, 0])]
    #[case::thread(libc::SYS_clone, [0x003d_0f00, 0])]
    #[case::local_socket(libc::SYS_socket, [1, 1])]
    #[case::terminal_size(libc::SYS_ioctl, [1, 0x5413])]
    #[case::rename(libc::SYS_renameat2, [0, 0])]
    fn what_tools_do_is_allowed(#[case] call: c_long, #[case] arguments: [u32; 2]) {
        assert_eq!(of(call, arguments), libc::SECCOMP_RET_ALLOW);
    }

    #[rstest]
    #[case::mount(libc::SYS_mount, [0, 0], libc::EPERM)]
    #[case::trace(libc::SYS_ptrace, [0, 0], libc::EPERM)]
    #[case::rings(libc::SYS_io_uring_setup, [0, 0], libc::EPERM)]
    #[case::symlink(libc::SYS_symlinkat, [0, 0], libc::EPERM)]
    #[case::link(libc::SYS_linkat, [0, 0], libc::EPERM)]
    #[case::unshare(libc::SYS_unshare, [0, 0], libc::EPERM)]
    #[case::user_namespace(libc::SYS_clone, [0x1000_0011, 0], libc::EPERM)]
    #[case::any_namespace(libc::SYS_clone3, [0, 0], libc::ENOSYS)]
    #[case::internet(libc::SYS_socket, [2, 1], libc::EAFNOSUPPORT)]
    #[case::netlink(libc::SYS_socket, [16, 3], libc::EAFNOSUPPORT)]
    #[case::typing(libc::SYS_ioctl, [0, 0x5412], libc::EPERM)]
    #[case::console(libc::SYS_ioctl, [0, 0x541c], libc::EPERM)]
    fn what_leads_out_is_denied(#[case] call: c_long, #[case] arguments: [u32; 2], #[case] error: i32) {
        assert_eq!(of(call, arguments), libc::SECCOMP_RET_ERRNO | error as u32);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn another_abi_is_no_way_around() {
        let mount = u32::try_from(libc::SYS_mount).expect("a number");
        assert_eq!(verdict(X86_64, X32_BIT | mount, [0; 2]), libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
        assert_eq!(verdict(0x4000_0003, 21, [0; 2]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
