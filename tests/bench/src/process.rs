//! What the kernel says of a process and of the machine: CPU time, resident memory, steal, load. Linux only.

use std::{fs, io, time::Duration};

/// The kernel tells CPU time to user space in hundredths of a second on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// CPU time that process `pid` has used in all its threads, in user and kernel mode.
pub(crate) fn cpu(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(TICK * ticks(&stat, 11)?.saturating_add(ticks(&stat, 12)?))
}

/// CPU time of this process and of its children that have ended.
pub(crate) fn own_cpu() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    (11..=14).try_fold(Duration::ZERO, |sum, field| Ok(sum + TICK * ticks(&stat, field)?))
}

/// Resident memory of process `pid`, in KiB.
pub(crate) fn resident_kib(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).ok_or_else(|| unreadable("VmRSS"))
}

/// CPU time of the whole machine since it started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MachineCpu {
    /// Used by processes and the kernel.
    pub(crate) busy: Duration,
    /// Kept from this machine by its host.
    pub(crate) stolen: Duration,
    /// All of it, idle time too.
    pub(crate) total: Duration,
}

impl MachineCpu {
    /// What has been counted up to now.
    pub(crate) fn read() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        let fields: Vec<u32> = line.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
        let [user, nice, system, idle, waiting, irq, soft_irq, stolen, ..] = fields[..] else {
            return Err(unreadable("cpu"));
        };
        let busy = TICK * user + TICK * nice + TICK * system + TICK * irq + TICK * soft_irq;
        Ok(Self { busy, stolen: TICK * stolen, total: busy + TICK * stolen + TICK * idle + TICK * waiting })
    }

    /// What was counted since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            busy: self.busy.saturating_sub(earlier.busy),
            stolen: self.stolen.saturating_sub(earlier.stolen),
            total: self.total.saturating_sub(earlier.total),
        }
    }
}

/// The machine in words: cores, processor, kernel, load.
pub(crate) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let processors = read("/proc/cpuinfo");
    let processor =
        processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    format!(
        "{cores} cores ({}), Linux {}, load {} at the start",
        processor.trim_start_matches([' ', '\t', ':']),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default()
    )
}

/// Field `index` of a stat line, counted from the one after the command's name, which may itself hold spaces.
fn ticks(stat: &str, index: usize) -> io::Result<u32> {
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    fields.split_whitespace().nth(index).and_then(|field| field.parse().ok()).ok_or_else(|| unreadable("stat"))
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the kernel's `{what}` does not read as expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 5 0 0 0 120 30 4 6 20 0 1 0";
        assert_eq!(ticks(stat, 11).unwrap(), 120);
        assert_eq!(ticks(stat, 14).unwrap(), 6);
    }

    #[test]
    fn this_process_has_memory_and_the_machine_has_time() {
        let pid = std::process::id();
        assert!(resident_kib(pid).unwrap() > 0);
        assert!(own_cpu().unwrap() >= Duration::ZERO && cpu(pid).is_ok());
        assert!(MachineCpu::read().unwrap().total > Duration::ZERO);
    }
}
