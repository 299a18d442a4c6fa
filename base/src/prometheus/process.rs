//! The process as the kernel sees it. Where there is no `/proc`, nothing is said.

use std::fs;

use super::text::Text;

/// Ticks a second in `/proc/self/stat`. Linux fixes it for programs, whatever the kernel's own is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Writes what can be read about this process.
pub fn write(text: &mut Text) {
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
        text.single("process_resident_memory_bytes", "gauge", "Memory in RAM, in bytes.", bytes);
    }
    if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_seconds) {
        text.single("process_cpu_seconds_total", "counter", "Processor time, user and system, in seconds.", seconds);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory being read.
        let count = open.count().saturating_sub(1);
        text.single("process_open_fds", "gauge", "Open file descriptors.", count);
    }
}

/// `VmRSS:     1234 kB`
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The 14th and 15th fields of proc(5)'s stat. The second is the program's name in brackets, and may hold spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_processor_time_are_read_as_the_kernel_writes_them() {
        assert_eq!(resident_bytes("Name:\tx\nVmHWM:\t  99 kB\nVmRSS:\t    1234 kB\n"), Some(1_263_616));
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_seconds(stat), Some(1.75));
        assert_eq!((resident_bytes(""), cpu_seconds("42 (x")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory() {
        let mut text = Text::default();
        write(&mut text);
        let text = text.finish();
        for name in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} in {text}");
        }
    }
}
