//! Containers and machines, as their files tell of them.

use super::*;

const STAT: &str = "cpu  1000 0 500 8000 500 0 0 0 0 0\ncpu0 1000 0 500 8000 500 0 0 0 0 0\nintr 1\n";
const LATER_STAT: &str = "cpu  1600 0 600 8200 600 0 0 0 0 0\n";
const MEMINFO: &str = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    4000000 kB\n";

/// A root folder in which these files stand.
struct Files(tempfile::TempDir);

impl Files {
    fn with(files: &[(&str, &str)]) -> Self {
        let files = [("proc/stat", STAT), ("proc/meminfo", MEMINFO)].iter().chain(files);
        let new = Self(tempfile::tempdir().unwrap());
        files.for_each(|(path, text)| new.write(path, text));
        new
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn machine(&self) -> Machine {
        Machine::new(self.0.path())
    }
}

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn about(share: Option<f64>) -> f64 {
    (share.unwrap() * 1e6).round() / 1e6
}

const V2: [(&str, &str); 7] = [
    ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
    ("proc/self/cgroup", "0::/\n"),
    ("sys/fs/cgroup/cpu.max", "200000 100000\n"),
    ("sys/fs/cgroup/cpu.stat", "usage_usec 5000000\nuser_usec 1\n"),
    ("sys/fs/cgroup/memory.current", "3000000000\n"),
    ("sys/fs/cgroup/memory.max", "4000000000\n"),
    ("sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 1000000000\nactive_file 5\n"),
];

const V1: [(&str, &str); 8] = [
    ("proc/self/cgroup", "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n"),
    ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
    ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
    ("sys/fs/cgroup/cpuacct/cpuacct.usage", "1000000000\n"),
    ("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000000000\n"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000000\n"),
    ("sys/fs/cgroup/memory/memory.stat", "inactive_file 5\ntotal_inactive_file 2000000000\n"),
    ("sys/fs/cgroup/memory/docker/ab/x", ""),
];

#[test]
fn a_container_with_limits_is_judged_by_them_under_cgroup_v2() {
    let files = Files::with(&V2);
    let mut machine = files.machine();
    assert_eq!(machine.cpu(at(0)), None, "one reading is no rate");
    files.write("sys/fs/cgroup/cpu.stat", "usage_usec 6000000\n");
    assert_eq!(about(machine.cpu(at(1000))), 0.5, "one second of the two that it may use in one");
    assert_eq!(about(machine.memory()), 0.5, "what can be dropped at once is not in use");
}

#[test]
fn a_container_with_limits_is_judged_by_them_under_cgroup_v1() {
    let files = Files::with(&V1);
    let mut machine = files.machine();
    machine.cpu(at(0));
    files.write("sys/fs/cgroup/cpuacct/cpuacct.usage", "1250000000\n");
    assert_eq!(about(machine.cpu(at(1000))), 0.5);
    assert_eq!(about(machine.memory()), 0.25);
}

#[test]
fn accounts_below_the_mount_are_found_where_the_kernel_names_them() {
    let files = Files::with(&V2);
    files.write("proc/self/cgroup", "0::/kubepods/pod1\n");
    files.write("sys/fs/cgroup/kubepods/pod1/memory.current", "1000000000\n");
    files.write("sys/fs/cgroup/kubepods/pod1/memory.max", "8000000000\n");
    assert_eq!(about(files.machine().memory()), 0.125);
    let files = Files::with(&V1);
    files.write("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "1000000000\n");
    files.write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "8000000000\n");
    assert_eq!(about(files.machine().memory()), 0.125);
}

#[test]
fn without_limits_the_machine_is_what_runs_out() {
    let unlimited_v1 = [
        ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpuacct/cpuacct.usage", "1\n"),
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000000000\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ];
    let unlimited_v2 = [
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
        ("sys/fs/cgroup/cpu.max", "max 100000\n"),
        ("sys/fs/cgroup/cpu.stat", "usage_usec 1\n"),
        ("sys/fs/cgroup/memory.current", "3000000000\n"),
        ("sys/fs/cgroup/memory.max", "max\n"),
    ];
    for files in [&unlimited_v1[..], &unlimited_v2, &[]] {
        let files = Files::with(files);
        let mut machine = files.machine();
        machine.cpu(at(0));
        files.write("proc/stat", LATER_STAT);
        assert_eq!(about(machine.cpu(at(1000))), 0.7, "of a thousand ticks three hundred were idle");
        assert_eq!(about(machine.memory()), 0.75);
    }
}

#[test]
fn a_burst_is_smoothed_over_some_seconds() {
    let files = Files::with(&V2);
    let mut machine = files.machine();
    let mut used = 0_u64;
    let mut second = |machine: &mut Machine, number: u64, busy: u64| {
        used += busy;
        files.write("sys/fs/cgroup/cpu.stat", &format!("usage_usec {used}\n"));
        machine.cpu(at(number * 1000))
    };
    second(&mut machine, 0, 0);
    second(&mut machine, 1, 0);
    assert!(second(&mut machine, 2, 2_000_000).unwrap() < 0.2, "one busy second");
    let after_ten: Vec<_> = (3..13).map(|number| second(&mut machine, number, 2_000_000).unwrap()).collect();
    assert!(after_ten[9] > 0.85 && after_ten.is_sorted(), "{after_ten:?}");
}

#[test]
fn what_runs_backwards_or_makes_no_sense_is_not_known() {
    let files = Files::with(&V2);
    let mut machine = files.machine();
    machine.cpu(at(0));
    files.write("sys/fs/cgroup/cpu.stat", "usage_usec 1\n");
    assert_eq!(machine.cpu(at(1000)), None, "another container's account has begun");
    for nonsense in ["", "max", "0 0", "-5 100000", "a b", "1e999 1"] {
        files.write("sys/fs/cgroup/cpu.max", nonsense);
        files.write("sys/fs/cgroup/memory.max", nonsense);
        let share = machine.cpu(at(2000));
        assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)), "{nonsense}: {share:?}");
        let share = machine.memory();
        assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)), "{nonsense}: {share:?}");
    }
    let nowhere = Machine::new("/nowhere");
    assert_eq!(nowhere.memory(), None);
}

#[test]
fn this_machine_can_be_read() {
    let mut machine = Machine::new("/");
    let memory = machine.memory().expect("a Linux machine tells of its memory");
    assert!(memory > 0.0 && memory <= 1.0, "{memory}");
    machine.cpu(at(0));
    assert!(machine.before.is_some());
}
