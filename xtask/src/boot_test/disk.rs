//! The disk that is booted: Debian in the place of Amazon Linux, with `ami/rootfs` and what `ami/provisioners` make of it.
//!
//! Two steps, each kept under a name made of all that went into it: a bare system, which takes a minute, and the image,
//! which takes seconds and is made again for each new job binary.

use crate::{
    packages::{Root, as_root},
    workspace,
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

/// The release whose systemd is that of Amazon Linux 2023: 252.
const RELEASE: &str = "bookworm";
const PACKAGES: &str = "systemd,systemd-sysv,udev,kmod,ca-certificates,cpio,busybox-static";
/// In Packer's order; `10-packages.sh` installs Amazon Linux's agents, which Debian lacks.
const PROVISIONERS: [&str; 4] = ["20-stopgap.sh", "30-lock-down.sh", "90-clean.sh", "99-assert.sh"];
/// Where Packer uploads to.
const UPLOAD: &str = "/tmp/stopgap";
const BINARY: &str = "sync-job-x86_64";
/// Room for the program and for what a run writes; the file has holes.
const DISK: &str = "1G";
/// What systemd does not understand in a unit it ignores, with a line that nobody would see.
const CHECK_UNITS: &str = "said=$(systemd-analyze verify --man=no stopgap.service stopgap-log.service stopgap-limit.timer 2>&1); \
     [ -z \"$said\" ] || { echo \"$said\"; exit 1; }";

/// The bare system.
pub fn base(root: &Root) -> Result<PathBuf> {
    let place = Place { root, directory: workspace::tools().join("boot") };
    fs::create_dir_all(&place.directory).with_context(|| format!("making {}", place.directory.display()))?;
    let own = workspace::root().join("tests/boot");
    place.kept("base", &fingerprint(&[&own.join("kernel.sh"), &own.join("init")], RELEASE)?, |new| {
        println!("Making a system to boot in {} with debootstrap", place.directory.display());
        place.make_base(new)
    })
}

/// The image for this job.
pub fn make(root: &Root, job: &Path) -> Result<PathBuf> {
    let base = base(root)?;
    let place = Place { root, directory: workspace::tools().join("boot") };
    let own = workspace::root().join("tests/boot");
    let ami = workspace::root().join("ami");
    let inputs = [&ami.join("rootfs"), &ami.join("provisioners"), &own, job];
    place.kept("image", &fingerprint(&inputs, &base.display().to_string())?, |new| {
        println!("Making the image of {}", job.display());
        place.make_image(&base, job, new)
    })
}

struct Place<'a> {
    root: &'a Root,
    directory: PathBuf,
}

impl Place<'_> {
    /// The directory of this kind and fingerprint; older ones of its kind go when it is made.
    fn kept(&self, kind: &str, fingerprint: &str, make: impl FnOnce(&str) -> Result<()>) -> Result<PathBuf> {
        let kept = self.directory.join(format!("{kind}-{fingerprint}"));
        if kept.is_dir() {
            return Ok(kept);
        }
        for entry in fs::read_dir(&self.directory)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(kind) {
                self.remove(&entry.path().display().to_string())?;
            }
        }
        // Renamed last: a broken attempt is made again.
        let new = self.directory.join(format!("{kind}.new")).display().to_string();
        make(&new)?;
        self.run(&["mv", &new, &kept.display().to_string()])?;
        Ok(kept)
    }

    fn make_base(&self, new: &str) -> Result<()> {
        self.run(&["debootstrap", "--variant=minbase", &format!("--include={PACKAGES}"), RELEASE, new])?;
        for name in ["kernel.sh", "init"] {
            let file = workspace::root().join("tests/boot").join(name).display().to_string();
            self.run(&["cp", &file, &format!("{new}/tmp/")])?;
        }
        self.run(&["chroot", new, "sh", "/tmp/kernel.sh"])?;
        self.run(&["rm", &format!("{new}/tmp/kernel.sh")])
    }

    fn make_image(&self, base: &Path, job: &Path, new: &str) -> Result<()> {
        let work = format!("{new}/system");
        self.run(&["mkdir", "-p", new])?;
        self.run(&["cp", "--archive", &base.display().to_string(), &work])?;
        self.upload(job, &work)?;
        for script in PROVISIONERS {
            let (upload, binary) = (format!("UPLOAD={UPLOAD}"), format!("BINARY={BINARY}"));
            let script = format!("/tmp/provisioners/{script}");
            self.run(&["chroot", &work, "env", "SYSTEMD_OFFLINE=1", &upload, &binary, "bash", &script])?;
        }
        self.run(&["rm", "-r", &format!("{work}/tmp/provisioners")])?;
        self.run(&["chroot", &work, "sh", "-c", CHECK_UNITS])?;
        self.add_what_only_the_test_needs(&work)?;
        for name in ["vmlinuz", "initrd"] {
            self.run(&["mv", &format!("{work}/boot/{name}"), new])?;
        }
        let disk = format!("{new}/root.img");
        self.run(&["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", &work, &disk, DISK])?;
        self.run(&["chmod", "0644", &disk])?;
        self.remove(&work)
    }

    /// As Packer does it.
    fn upload(&self, job: &Path, work: &str) -> Result<()> {
        let (ami, upload) = (workspace::root().join("ami"), format!("{work}{UPLOAD}"));
        self.run(&["mkdir", &upload])?;
        self.copy(&ami.join("rootfs"), &format!("{upload}/rootfs"))?;
        self.copy(&ami.join("provisioners"), &format!("{work}/tmp/provisioners"))?;
        self.copy(job, &format!("{upload}/{BINARY}"))?;
        let sums = format!("cd '{upload}' && sha256sum {BINARY} > SHA256SUMS");
        self.run(&["sh", "-c", &sums])
    }

    fn add_what_only_the_test_needs(&self, work: &str) -> Result<()> {
        self.copy(&workspace::root().join("tests/boot/rootfs/."), work)?;
        self.run(&["chroot", work, "env", "SYSTEMD_OFFLINE=1", "systemctl", "enable", "systemd-networkd.service"])
    }

    fn copy(&self, from: &Path, to: &str) -> Result<()> {
        self.run(&["cp", "--recursive", "--no-preserve=ownership", &from.display().to_string(), to])
    }

    /// What debootstrap had mounted when it was interrupted stays as it is.
    fn remove(&self, path: &str) -> Result<()> {
        self.run(&["rm", "-rf", "--one-file-system", path])
    }

    fn run(&self, words: &[&str]) -> Result<()> {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let all: Vec<&str> = ["env", path, "LC_ALL=C.UTF-8"].iter().chain(words).copied().collect();
        let output = as_root(self.root, &all).stdin(Stdio::null()).output().with_context(|| words.join(" "))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(10)..].join("\n");
        ensure!(output.status.success(), "`{}` failed ({}):\n{last}", words.join(" "), output.status);
        Ok(())
    }
}

/// A name for the contents of files and directories, and a word more.
fn fingerprint(paths: &[&Path], word: &str) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    (word, RELEASE, PACKAGES, PROVISIONERS, DISK).hash(&mut hasher);
    for path in paths {
        hash(path, &mut hasher).with_context(|| format!("reading {}", path.display()))?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash(path: &Path, hasher: &mut DefaultHasher) -> std::io::Result<()> {
    path.file_name().hash(hasher);
    if path.is_dir() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| hash(entry, hasher));
    }
    (path.metadata()?.permissions().mode() & 0o111).hash(hasher);
    fs::read(path)?.hash(hasher);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgap_servers::ScratchDir;

    #[test]
    fn an_image_is_made_again_when_anything_of_it_changes() {
        let directory = ScratchDir::new("fingerprint").unwrap();
        let file = directory.path().join("rootfs/unit");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "one").unwrap();
        let name = || fingerprint(&[directory.path()], "base").unwrap();
        let mut names = vec![name()];
        assert_eq!(names[0], name());
        fs::write(&file, "two").unwrap();
        names.push(name());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        names.push(name());
        fs::rename(&file, file.with_file_name("other")).unwrap();
        names.push(name());
        names.push(fingerprint(&[directory.path()], "another base").unwrap());
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 5);
    }
}
