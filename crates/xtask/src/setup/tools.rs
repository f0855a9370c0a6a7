//! The programs that tests and benches drive, and where each comes from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::debian;
use crate::environment;
use crate::guard::Guard;

pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// Debian's package of it.
    pub(crate) package: &'static str,
    /// What cannot run without it.
    purpose: &'static str,
    found: fn() -> bool,
}

const POSTGRES: Tool = Tool {
    name: "PostgreSQL 15 or later (initdb, postgres, psql)",
    package: "postgresql-15",
    purpose: "the second database engine",
    found: || postgres_programs().is_some(),
};
const NGINX: Tool =
    Tool { name: "nginx", package: "nginx-light", purpose: "the peer in the bench", found: || has("nginx") };
const WRK: Tool = Tool { name: "wrk", package: "wrk", purpose: "load in the bench", found: || has("wrk") };

const HAPROXY: Tool =
    Tool { name: "HAProxy", package: "haproxy", purpose: "a peer in the bench of the edge", found: || has("haproxy") };

/// Everything that `cargo xtask test` needs.
pub(crate) const FOR_TESTS: &[Tool] = &[
    POSTGRES,
    NGINX,
    WRK,
    Tool { name: "chromium", package: "chromium", purpose: "tests in a browser", found: || has("chromium") },
    Tool { name: "promtool", package: "prometheus", purpose: "checks of /metrics", found: || has("promtool") },
    Tool { name: "strace", package: "strace", purpose: "failures of fsync", found: || has("strace") },
    Tool {
        name: "mkfs.ext4 and e2fsck",
        package: "e2fsprogs",
        purpose: "power failures on a file system of their own",
        found: || has("mkfs.ext4") && has("e2fsck"),
    },
    Tool { name: "libfaketime", package: "libfaketime", purpose: "tests under a wrong clock", found: has_faketime },
    Tool {
        name: "openssl",
        package: "openssl",
        purpose: "a TLS client that knows old versions",
        found: || has("openssl"),
    },
    Tool {
        name: "systemd-analyze",
        package: "systemd",
        purpose: "checks of the units in deploy/systemd",
        found: || has("systemd-analyze"),
    },
    Tool { name: "pebble", package: "pebble", purpose: "an ACME server", found: || has("pebble") },
    Tool { name: "node", package: "nodejs", purpose: "tests in a browser", found: || has("node") },
    Tool { name: "python3 with venv", package: "python3-venv", purpose: "schemathesis", found: has_python },
    Tool { name: "npm", package: "npm", purpose: "lists of user agents, playwright-core", found: || has("npm") },
];

/// Everything that `cargo xtask bench` needs, beyond [`POSTGRES`] for that engine.
pub(crate) fn for_bench(postgres: bool) -> Vec<Tool> {
    let mut tools = vec![NGINX, WRK];
    tools.extend(postgres.then_some(POSTGRES));
    tools
}

/// What `cargo xtask bench edge` needs.
pub(crate) fn for_bench_of_edge() -> Vec<Tool> {
    vec![NGINX, HAPROXY, WRK]
}

/// Installs what is missing where it can and may; otherwise an error that names it.
pub(crate) fn ensure(guard: &Guard, tools: &[Tool], install: bool) -> Result<()> {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    if install && debian::may_install() {
        debian::install(guard, &missing)?;
    }
    let missing = self::missing(tools);
    if !missing.is_empty() {
        bail!("{}", describe(&missing));
    }
    Ok(())
}

/// The folder with PostgreSQL's server programs: version 15 before a later one, Debian's folder before `PATH`.
pub(crate) fn postgres_programs() -> Option<PathBuf> {
    let complete = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    let mut versions: Vec<u32> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|version| *version >= 15)
        .collect();
    versions.sort_unstable();
    let debian = versions.iter().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    debian.chain(environment::program_folders()).find(complete)
}

fn missing(tools: &[Tool]) -> Vec<&Tool> {
    tools.iter().filter(|tool| !(tool.found)()).collect()
}

fn describe(missing: &[&Tool]) -> String {
    let mut text = String::from("missing:");
    for tool in missing {
        text += &format!("\n  {}: for {}", tool.name, tool.purpose);
    }
    let packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    text + &format!(
        "\nOn Debian 12 as root `cargo xtask test` installs it by itself; by hand there: apt-get install {}",
        packages.join(" ")
    )
}

fn has(name: &str) -> bool {
    environment::program(name).is_some()
}

/// Debian keeps what makes an environment in a package of its own.
fn has_python() -> bool {
    let mut python = std::process::Command::new("python3");
    has("python3") && crate::process::output(python.args(["-c", "import ensurepip, venv"])).is_ok()
}

fn has_faketime() -> bool {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    folders
        .chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from))
        .any(|folder| Path::new(&folder).join("faketime/libfaketime.so.1").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let absent = Tool { name: "no-such", package: "no-such-package", purpose: "nothing", found: || false };
        let present = Tool { name: "shell", package: "dash", purpose: "scripts", found: || has("sh") };
        let tools = [absent, present];
        let missing = missing(&tools);
        let text = describe(&missing);
        assert!(text.contains("no-such: for nothing") && text.contains("apt-get install no-such-package"), "{text}");
        assert!(!text.contains("shell"), "{text}");
    }
}
