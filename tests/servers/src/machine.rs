//! A virtual machine that boots an image of ours, with the host's loopback and a metadata service as its network.

use crate::{ScratchDir, guard::Guarded};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    io::Write as _,
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Names the directory with `root.img`, `vmlinuz` and `initrd`.
pub const IMAGE: &str = "STOPGAP_BOOT_IMAGE";
/// Says why there is no such directory.
pub const NO_IMAGE: &str = "STOPGAP_NO_BOOT_IMAGE";
/// The emulator, of Debian's package `qemu-system-x86`.
pub const EMULATOR: &str = "qemu-system-x86_64";

/// The host's loopback address, as the machine sees it.
pub const HOST: &str = "10.0.2.2";

/// The same by name: in the image's `/etc/hosts`.
pub const HOST_NAME: &str = "databases.example";

/// The kernel's last words when a machine switches itself off.
const POWERED_OFF: &str = "reboot: Power down";
const CONSOLE: &str = "console.log";
const CONTROL: &str = "control";
/// So many lines of the console say what went wrong.
const LAST_LINES: usize = 60;

/// A running machine, gone when dropped and when this process ends in any way.
pub struct Machine {
    process: Guarded,
    directory: ScratchDir,
    started: Instant,
}

impl Machine {
    /// Switches it on. What it writes to its disk is forgotten.
    ///
    /// Each program in it has `environment`, whose values have no spaces; `units` are started beside what the image starts.
    pub fn start(image: &Path, metadata: u16, environment: &[(String, String)], units: &[&str]) -> Result<Self> {
        let directory = ScratchDir::new("machine")?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        let file = |name: &str| image.join(name).display().to_string();
        let mut words = vec![
            "console=ttyS0 rw quiet panic=-1 net.ifnames=0 systemd.show_status=1".to_owned(),
            // On a busy host an emulated timer may miss the few ticks by which the kernel tests it.
            "no_timer_check".to_owned(),
            // Names are not coloured in a file.
            "systemd.log_color=0 systemd.setenv=SYSTEMD_COLORS=0".to_owned(),
        ];
        for (name, value) in environment {
            ensure!(!value.contains(char::is_whitespace), "a kernel takes no spaces: {name}={value}");
            words.push(format!("systemd.setenv={name}={value}"));
        }
        words.extend(units.iter().map(|unit| format!("systemd.wants={unit}")));
        let mut command = Command::new(EMULATOR);
        command
            // Emulated everywhere: a hypervisor below this machine may offer KVM and not carry it through.
            .args(["-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "512", "-smp", "1"])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .args(["-kernel", &file("vmlinuz"), "-initrd", &file("initrd"), "-append", &words.join(" ")])
            .args(["-drive", &format!("file={},if=virtio,format=raw,snapshot=on", file("root.img"))])
            .args(["-device", "virtio-rng-pci"])
            // ttyS0 is what EC2 calls the console; by ttyS1 the test speaks to its own unit.
            .args(["-serial", &format!("file:{}", path(CONSOLE))])
            .args(["-serial", &format!("unix:{},server=on,wait=off", path(CONTROL))])
            .args(["-netdev", "user,id=endpoints", "-device", "virtio-net-pci,netdev=endpoints"])
            .args(["-netdev", &metadata_network(metadata), "-device", "virtio-net-pci,netdev=metadata"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("emulator.log"))?);
        let started = Instant::now();
        let process = Guarded::spawn(&mut command, "KILL")?;
        Ok(Self { process, directory, started })
    }

    /// The emulator's process number.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// How long it has been on.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// All that its console showed.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.directory.path().join(CONSOLE)).unwrap_or_default()).into_owned()
    }

    /// Sends a line to the unit that listens on the machine's second serial port.
    pub fn tell(&self, line: &str) -> Result<()> {
        let mut port = UnixStream::connect(self.directory.path().join(CONTROL)).context("reaching the machine")?;
        writeln!(port, "{line}").context("telling the machine")
    }

    /// An error, with the console's end, once the machine is off.
    pub fn must_be_on(&mut self) -> Result<()> {
        match self.process.wait_at_most(Duration::ZERO)? {
            None => Ok(()),
            Some(status) => bail!("the machine is off ({status}); {}", self.last_words()),
        }
    }

    /// Waits until it has switched itself off, and says how long it was on.
    pub fn wait_for_power_off(&mut self, limit: Duration) -> Result<Duration> {
        let Some(status) = self.process.wait_at_most(limit.saturating_sub(self.uptime()))? else {
            bail!("the machine is still on after {} s; {}", limit.as_secs(), self.last_words());
        };
        let uptime = self.uptime();
        let off = status.success() && self.console().contains(POWERED_OFF);
        ensure!(off, "the machine did not switch itself off ({status}); {}", self.last_words());
        Ok(uptime)
    }

    fn last_words(&self) -> String {
        let console = self.console();
        let lines: Vec<&str> = console.lines().collect();
        let said = fs::read_to_string(self.directory.path().join("emulator.log")).unwrap_or_default();
        format!("its console ends with:\n{}\n{said}", lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"))
    }
}

/// A network of its own, with nothing but EC2's address in it. Each connection gets a process that passes bytes on.
fn metadata_network(port: u16) -> String {
    let relay = format!("/bin/bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3 & cat >&3; kill $!'");
    format!(
        "user,id=metadata,net=169.254.169.0/24,host=169.254.169.1,restrict=on,guestfwd=tcp:169.254.169.254:80-cmd:{relay}"
    )
}
