//! How much memory there is: of the machine, or of the control group that this process is in.

use std::{fs, path::Path};

/// Share of it that one child may have.
const CHILD_SHARE: f64 = 0.75;
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// Bytes that one child may have.
pub(super) fn max_child_bytes() -> u64 {
    let machine = rustix::system::sysinfo();
    // `mem_unit` is 1 on all 64-bit machines
    #[expect(clippy::useless_conversion, reason = "as wide as a pointer, which is not always 64 bits")]
    let bytes = u64::from(machine.totalram) * u64::from(machine.mem_unit.max(1));
    let group =
        cgroup_limit(Path::new(CGROUP_ROOT), &fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
    (group.map_or(bytes, |limit| limit.min(bytes)) as f64 * CHILD_SHARE) as u64
}

/// The smallest limit of a control group and those above it (cgroups(7), version 2).
fn cgroup_limit(root: &Path, proc_self_cgroup: &str) -> Option<u64> {
    let own = proc_self_cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = root.join(own);
    let groups = folder.ancestors().take_while(|folder| folder.starts_with(root));
    groups.filter_map(|group| fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_group_counts() {
        let root = tempfile::tempdir().expect("a folder");
        let group = root.path().join("system.slice/borealis.service");
        fs::create_dir_all(&group).expect("made");
        fs::write(group.join("memory.max"), "max\n").expect("written");
        let limit = || cgroup_limit(root.path(), "1:x:/other\n0::/system.slice/borealis.service\n");
        assert_eq!(limit(), None);
        fs::write(root.path().join("system.slice/memory.max"), "4096\n").expect("written");
        assert_eq!(limit(), Some(4096));
        fs::write(group.join("memory.max"), "1024\n").expect("written");
        assert_eq!(limit(), Some(1024));
    }

    #[test]
    fn there_is_some() {
        assert!(max_child_bytes() > 1 << 20);
    }
}
