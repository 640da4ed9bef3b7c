//! What a step costs: time, and what the kernel says of the processes that took part.

use anyhow::{Context, Result, ensure};
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};
use stopgap_servers::guard::Guarded;

/// The kernel counts CPU for user space in hundredths of a second, on every architecture that this runs on.
const TICKS_A_SECOND: f64 = 100.0;
/// Short enough that what is missed at a program's end does not show.
const SAMPLE: Duration = Duration::from_millis(10);

/// A server's CPU-seconds so far: its own, and those of its children that have ended.
#[derive(Debug, Clone, Copy)]
pub struct Server(pub u32);

impl Server {
    pub fn cpu(self) -> f64 {
        let own = cpu(self.0).map_or(0.0, |(own, ended)| own + ended);
        own + children(self.0).into_iter().filter_map(cpu).map(|(own, ended)| own + ended).sum::<f64>()
    }
}

/// One step's cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Seconds.
    pub wall: f64,
    /// CPU-seconds of the program that was run; zero if there was none.
    pub program: f64,
    pub source: f64,
    pub target: f64,
    /// Bytes, of the program.
    pub peak_memory: u64,
}

impl Cost {
    /// CPU-seconds of everything that took part.
    pub fn cpu(&self) -> f64 {
        self.program + self.source + self.target
    }
}

/// Measures `step`; both servers' CPU is what they used meanwhile.
pub fn measure<T>(source: Server, target: Server, step: impl FnOnce(&mut Cost) -> Result<T>) -> Result<(T, Cost)> {
    let (source_before, target_before) = (source.cpu(), target.cpu());
    let mut cost = Cost::default();
    let start = Instant::now();
    let value = step(&mut cost)?;
    cost.wall = start.elapsed().as_secs_f64();
    cost.source = source.cpu() - source_before;
    cost.target = target.cpu() - target_before;
    Ok((value, cost))
}

/// Runs a program to its successful end and notes its CPU and peak memory.
pub fn run(command: &mut Command, cost: &mut Cost) -> Result<()> {
    let mut process = Guarded::spawn(command, "TERM")?;
    loop {
        // Both only grow: the last look before the end counts.
        if let Some((own, ended)) = cpu(process.id()) {
            cost.program = cost.program.max(own + ended);
        }
        cost.peak_memory = cost.peak_memory.max(peak_memory(process.id()).unwrap_or(0));
        if let Some(status) = process.wait_at_most(SAMPLE)? {
            ensure!(status.success(), "{} failed ({status})", command.get_program().to_string_lossy());
            return Ok(());
        }
    }
}

/// This machine in one line.
pub fn machine() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    let models: Vec<&str> = cpus.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model = models.first().map_or("unknown processor", |line| line.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let memory = kilobytes(&memory, "MemTotal:").unwrap_or(0) as f64 / f64::from(1 << 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(format!("{cores} cores of {model}, {memory:.0} GiB of memory, Linux {}", kernel.trim()))
}

/// CPU-seconds of a process, and of its children that have ended.
fn cpu(process: u32) -> Option<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is a name in brackets that may hold anything; utime is field 14, then stime, cutime, cstime.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(((ticks(14)? + ticks(15)?) / TICKS_A_SECOND, (ticks(16)? + ticks(17)?) / TICKS_A_SECOND))
}

fn children(process: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    Some(kilobytes(&status, "VmHWM:")? << 10)
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
