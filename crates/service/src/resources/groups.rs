//! Where the files of a process's control groups are: version 1, version 2, or some of both.

use std::path::{Component, Path, PathBuf};

use super::text::Files;

/// The directories of a process's control groups. None where there is no such controller or its files can't be seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    pub(super) cpu: Option<PathBuf>,
    pub(super) cpuacct: Option<PathBuf>,
    pub(super) memory: Option<PathBuf>,
    pub(super) blkio: Option<PathBuf>,
    /// That of version 2. In a hybrid layout it has no controller, but pressure.
    pub(super) version_2: Option<PathBuf>,
}

impl Groups {
    /// Finds them by `/proc/PID/cgroup`, which has the group's path in each hierarchy, and `/proc/PID/mountinfo`, which
    /// has where each hierarchy is mounted and which part of it. `root` is the root of the process's file system.
    pub(super) fn locate(process: &Path, root: &Path, files: &mut Files) -> Self {
        let memberships = files.text(&process.join("cgroup")).unwrap_or_default().to_owned();
        let mounts = files.text(&process.join("mountinfo")).unwrap_or_default();
        let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
        let locate = |hierarchy: Option<&str>| {
            let path = memberships.lines().find_map(|line| path_in(line, hierarchy))?;
            let mut candidates = mounts.iter().filter(|mount| mount.has(hierarchy));
            candidates.find_map(|mount| Some(root.join(mount.directory(path)?)).filter(|directory| directory.is_dir()))
        };
        let [cpu, cpuacct, memory, blkio] = ["cpu", "cpuacct", "memory", "blkio"].map(|name| locate(Some(name)));
        // The root of version 2 holds all processes of the machine, and is the one group without this file.
        let version_2 = locate(None).filter(|group| group.join("cgroup.events").exists());
        Self { cpu, cpuacct, memory, blkio, version_2 }
    }
}

/// The path in a line such as `4:cpu,cpuacct:/kubepods/x`, or `0::/x` for version 2.
fn path_in<'a>(line: &'a str, hierarchy: Option<&str>) -> Option<&'a str> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let is_it = match hierarchy {
        Some(controller) => controllers.split(',').any(|name| name == controller),
        None => controllers.is_empty(),
    };
    is_it.then_some(path)
}

/// A mounted hierarchy.
struct Mount {
    /// Which of its groups is mounted.
    group: String,
    point: String,
    /// None for version 2.
    controllers: Option<String>,
}

impl Mount {
    /// `31 23 0:28 /group /point rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct`
    fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (group, point) = (unescape(mount.next()?), unescape(mount.next()?));
        let mut file_system = file_system.split(' ');
        let controllers = match file_system.next()? {
            "cgroup2" => None,
            "cgroup" => Some(file_system.nth(1)?.to_owned()),
            _ => return None,
        };
        Some(Self { group, point, controllers })
    }

    fn has(&self, hierarchy: Option<&str>) -> bool {
        match (&self.controllers, hierarchy) {
            (None, None) => true,
            (Some(controllers), Some(controller)) => controllers.split(',').any(|name| name == controller),
            _ => false,
        }
    }

    /// The directory of a group under this mount, relative to the root of the file system.
    fn directory(&self, path: &str) -> Option<PathBuf> {
        let point = Path::new(&self.point).strip_prefix("/").ok()?;
        // Both are as the reader's namespace shows them, so that they agree also where that begins elsewhere: `/../x`.
        let below = match Path::new(path).strip_prefix(&self.group) {
            Ok(below) => below,
            // A single group is mounted, so it is that of the container.
            Err(_) if self.group != "/" => Path::new(""),
            Err(_) => return None,
        };
        let is_below = below.components().all(|part| matches!(part, Component::Normal(_)));
        is_below.then(|| point.join(below))
    }
}

/// Spaces and the like are written as `\040`.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            None => plain.extend(["\\", part]),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::tree::TestTree;

    /// Locates the groups of a process with these files, where these directories exist.
    fn located(cgroup: &str, mountinfo: &str, directories: &[&str]) -> Groups {
        let tree = TestTree::new("groups");
        tree.file("process/cgroup", cgroup);
        tree.file("process/mountinfo", mountinfo);
        for directory in directories {
            tree.file(&format!("root/{directory}/cgroup.events"), "populated 1\n");
        }
        let root = tree.path("root");
        let mut groups = Groups::locate(&tree.path("process"), &root, &mut Files::default());
        let Groups { cpu, cpuacct, memory, blkio, version_2 } = &mut groups;
        for group in [cpu, cpuacct, memory, blkio, version_2].into_iter().flatten() {
            *group = group.strip_prefix(&root).unwrap().to_owned();
        }
        groups
    }

    fn version_2(cgroup: &str, mountinfo: &str, directories: &[&str]) -> Option<PathBuf> {
        located(cgroup, mountinfo, directories).version_2
    }

    #[test]
    fn in_a_namespace_of_its_own_the_group_is_the_mount() {
        let mount = "40 30 0:29 / /sys/fs/cgroup ro,nosuid shared:7 master:4 - cgroup2 cgroup rw,nsdelegate\n";
        assert_eq!(version_2("0::/\n", mount, &["sys/fs/cgroup"]), Some("sys/fs/cgroup".into()));
    }

    #[test]
    fn seen_from_another_namespace_the_path_leads_out_of_it() {
        let mount = "40 30 0:29 /../cri-containerd-ab.scope /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let of = |path| version_2(path, mount, &["sys/fs/cgroup", "sys/fs/cgroup/child"]);
        assert_eq!(of("0::/../cri-containerd-ab.scope\n"), Some("sys/fs/cgroup".into()));
        assert_eq!(of("0::/../cri-containerd-ab.scope/child\n"), Some("sys/fs/cgroup/child".into()));
    }

    #[test]
    fn a_path_that_leads_out_of_what_is_mounted_is_unknown() {
        let mount = "40 30 0:29 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        assert_eq!(version_2("0::/../other\n", mount, &["sys/fs/cgroup", "sys/fs/other"]), None);
    }

    #[test]
    fn without_a_namespace_the_path_is_that_of_the_node() {
        let mount = "40 30 0:29 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let pod = "sys/fs/cgroup/kubepods.slice/pod:1";
        assert_eq!(version_2("0::/kubepods.slice/pod:1\n", mount, &[pod]), Some(pod.into()));
        assert_eq!(version_2("0::/kubepods.slice/gone (deleted)\n", mount, &[pod]), None);
    }

    #[test]
    fn version_1_is_found_by_controller_with_one_mounted_alone_or_two_together() {
        let cgroup = "7:blkio:/k/p/c\n4:memory:/k/p/c\n3:cpu,cpuacct:/k/p/c\n2:cpuset:/k/p/c\n1:name=systemd:/\n";
        let mounts = "\
50 49 0:30 /k/p/c /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct
51 49 0:31 /k/p/c /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
52 49 0:32 /elsewhere /sys/fs/cgroup/blkio ro - cgroup cgroup rw,blkio
53 49 0:33 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset
54 49 8:1 / /data rw - ext4 /dev/sda1 rw,memory
";
        let [both, memory, blkio] = ["cpu,cpuacct", "memory", "blkio"].map(|name| format!("sys/fs/cgroup/{name}"));
        let groups = located(cgroup, mounts, &[&both, &memory, &blkio]);
        let [both, memory, blkio] = [both, memory, blkio].map(PathBuf::from);
        let expected = Groups {
            cpu: Some(both.clone()),
            cpuacct: Some(both),
            memory: Some(memory),
            blkio: Some(blkio),
            version_2: None,
        };
        assert_eq!(groups, expected);
    }

    #[test]
    fn a_hybrid_layout_has_both() {
        let mounts = "\
51 49 0:31 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
52 49 0:38 / /sys/fs/cgroup/unified ro - cgroup2 cgroup rw
";
        let directories = ["sys/fs/cgroup/memory/app", "sys/fs/cgroup/unified/app"];
        let groups = located("4:memory:/app\n0::/app\n", mounts, &directories);
        let [memory, version_2] = directories.map(|directory| Some(directory.into()));
        assert_eq!(groups, Groups { memory, version_2, ..Groups::default() });
    }

    #[test]
    fn the_root_of_version_2_is_not_a_container() {
        let tree = TestTree::new("root-group");
        tree.file("cgroup", "0::/\n");
        tree.file("mountinfo", "40 30 0:29 / /cg rw - cgroup2 cgroup rw\n");
        tree.file("cg/cpu.stat", "usage_usec 5\n");
        assert_eq!(Groups::locate(&tree.path(""), &tree.path(""), &mut Files::default()), Groups::default());
    }

    #[test]
    fn a_mount_point_with_a_space_is_found_and_the_first_that_exists_is_taken() {
        let mounts = "40 30 0:29 / /gone rw - cgroup2 none rw\n40 30 0:29 / /my\\040groups rw - cgroup2 none rw\n";
        assert_eq!(version_2("0::/a\n", mounts, &["my groups/a"]), Some("my groups/a".into()));
    }

    #[test]
    fn what_cannot_be_read_or_has_another_form_is_unknown() {
        let mount = "40 30 0:29 / /cg rw - cgroup2 none rw\n";
        for (cgroup, mounts) in [
            ("", mount),
            ("0::/", ""),
            ("0:/", mount),
            ("\n::\n", mount),
            ("0::/", "40 30 0:29 / - cgroup2 none rw"),
            ("0::/", "40 30 0:29 / /cg rw - "),
            ("0::/", "- - - -"),
            ("0::/", "40 30 0:29 / cg rw - cgroup2 none rw"),
        ] {
            assert_eq!(located(cgroup, mounts, &["cg"]), Groups::default(), "{cgroup:?} {mounts:?}");
        }
        assert_eq!(unescape("a\\04\\b\\999\\"), "a\\04\\b\\999\\");
    }
}
