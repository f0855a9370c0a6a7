//! Packages from Debian, without starting a service or creating a database cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::tools::Tool;
use crate::guard::{Guard, Order};
use crate::process;

const POLICY: &str = "/usr/sbin/policy-rc.d";
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.conf";

/// Debian, and we are root.
pub(crate) fn may_install() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    rustix::process::geteuid().is_root() && release.lines().any(|line| line.trim() == "ID=debian")
}

pub(crate) fn install(guard: &Guard, missing: &[&Tool]) -> Result<()> {
    let packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    eprintln!("  installing {}", packages.join(", "));
    process::run(apt_get().arg("update"))?;
    let _policy = NoServices::declare(guard)?;
    create_no_cluster()?;
    process::run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args([
        "-qq",
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "Dpkg::Options::=--force-confold",
    ]);
    command
}

/// While this lives, packages start no service.
struct NoServices<'a> {
    guard: &'a Guard,
    order: Option<Order>,
}

impl<'a> NoServices<'a> {
    fn declare(guard: &'a Guard) -> Result<Self> {
        if Path::new(POLICY).exists() {
            eprintln!("  {POLICY} is there already: it decides whether a package starts its service");
            return Ok(Self { guard, order: None });
        }
        let order = Order::Remove(POLICY.into());
        guard.order(&order);
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(Self { guard, order: Some(order) })
    }
}

impl Drop for NoServices<'_> {
    fn drop(&mut self) {
        let Some(order) = &self.order else { return };
        if let Err(error) = fs::remove_file(POLICY) {
            eprintln!("warning: cannot remove {POLICY}: {error}");
        }
        self.guard.withdraw(order);
    }
}

/// The package of a PostgreSQL server creates a cluster and runs it, unless this file says otherwise.
fn create_no_cluster() -> Result<()> {
    let present = fs::read_to_string(CLUSTERS).unwrap_or_default();
    if present.lines().any(|line| line.trim_start().starts_with("create_main_cluster")) {
        return Ok(());
    }
    if let Some(folder) = Path::new(CLUSTERS).parent() {
        fs::create_dir_all(folder)?;
    }
    let text = format!(
        "{present}# By `cargo xtask` of Signalbox: its tests start clusters of their own.\ncreate_main_cluster = false\n"
    );
    fs::write(CLUSTERS, text).with_context(|| format!("cannot write {CLUSTERS}"))
}
