//! File systems that can lose power or run full.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{environment, process};

/// ext4 in a file: `cut_power` drops everything that was not synced, as a power failure does.
pub struct Disk {
    mounted: bool,
    folder: TempDir,
}

impl Disk {
    pub fn create(bytes: u64) -> Result<Self> {
        environment::require_root()?;
        let folder = environment::scratch("disk")?;
        let mut disk = Self { mounted: false, folder };
        File::create(disk.image())?.set_len(bytes)?;
        std::fs::create_dir(disk.path())?;
        let mkfs = environment::program("mkfs.ext4", "e2fsprogs")?;
        process::output(Command::new(mkfs).args(["-q", "-F"]).arg(disk.image()))?;
        disk.mount()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn mount(&mut self) -> Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "ext4", "-o", "loop"]).arg(self.image()).arg(self.path());
        process::output(&mut mount).context("a loop device is needed; in a container, run it privileged")?;
        self.mounted = true;
        Ok(())
    }

    /// Puts everything on disk: what was before the load is not what a test is about.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(File::open(self.path())?).context("syncfs")
    }

    /// From this moment on nothing reaches the disk any more, not even the journal.
    pub fn cut_power(&self) -> Result<()> {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH. Perl is part of every Debian; an ioctl from Rust is unsafe.
        const SCRIPT: &str = r#"open(my $d, "<", $ARGV[0]) or die "open: $!\n"; my $flags = pack("L", 2);
            ioctl($d, 0x8004587d, $flags) or die "ioctl: $!\n";"#;
        let perl = environment::program("perl", "perl-base")?;
        process::output(Command::new(perl).args(["-e", SCRIPT]).arg(self.path()))?;
        Ok(())
    }

    /// After a cut, when no process uses it any more: the journal is replayed and the file system checked.
    pub fn restore(&mut self) -> Result<()> {
        process::output(Command::new("umount").arg(self.path()))?;
        self.mounted = false;
        self.mount()
    }

    /// Ends with an error when the file system itself is damaged.
    pub fn check(&mut self) -> Result<()> {
        process::output(Command::new("umount").arg(self.path()))?;
        self.mounted = false;
        let fsck = environment::program("e2fsck", "e2fsprogs")?;
        process::output(Command::new(fsck).args(["-f", "-n"]).arg(self.image()))?;
        self.mount()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            unmount(&self.path());
        }
    }
}

/// A small file system in memory, to be filled up.
pub struct Small {
    folder: TempDir,
}

impl Small {
    pub fn create(bytes: u64) -> Result<Self> {
        environment::require_root()?;
        let small = Self { folder: environment::scratch("small")? };
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(small.path());
        process::output(&mut mount)?;
        Ok(small)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the space that is left, but for `spare_bytes`.
    pub fn fill(&self, spare_bytes: u64) -> Result<()> {
        let file = File::create(self.path().join("filler"))?;
        // Somebody else may take some of it in between.
        process::wait_for(Duration::from_secs(5), "filling the disk", || {
            let free = rustix::fs::statvfs(self.path())?;
            let bytes = (free.f_bavail * free.f_frsize).saturating_sub(spare_bytes);
            Ok(rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes.max(1))?)
        })
    }

    /// Gives the space back.
    pub fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.path().join("filler"))?)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        unmount(self.path());
    }
}

/// Even when something still uses it: it goes away with its last user.
fn unmount(path: &Path) {
    if let Err(error) = process::output(Command::new("umount").arg("--lazy").arg(path)) {
        eprintln!("warning: {error:#}");
    }
}
