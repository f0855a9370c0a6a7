//! What the tests take from PyPI, installed once into the user's cache, exactly as `python/requirements.txt` pins it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{environment, process};

const PINNED: &str = include_str!("../../python/requirements.txt");

/// The folder of its programs. Installs only when what is there is not what is pinned, and only if it may.
pub(crate) fn ensure(install: bool) -> Result<PathBuf> {
    let cache = environment::cache_folder().context("neither XDG_CACHE_HOME nor HOME says where caches go")?;
    let folder = cache.join("signalbox-test/python");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let environment = folder.join("environment");
    let programs = environment.join("bin");
    // Two test runs at once must not install over each other; the lock goes with the file handle.
    let one_at_a_time = File::create(folder.join("lock"))?;
    one_at_a_time.lock().context("cannot lock the cache of Python packages")?;
    if fs::read_to_string(done_marker(&environment)).is_ok_and(|installed| installed == PINNED) {
        return Ok(programs);
    }
    if !install {
        bail!("{} lacks the Python packages of the tests: run without --no-setup once", environment.display());
    }
    eprintln!("  installing Python packages into {}", environment.display());
    let list = folder.join("requirements.txt");
    fs::write(&list, PINNED)?;
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(programs.join("pip"));
    pip.args([
        "--disable-pip-version-check",
        "--quiet",
        "install",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--requirement",
    ]);
    process::run(pip.arg(&list))?;
    // Written last: without it, what is there counts as unfinished.
    fs::write(done_marker(&environment), PINNED)?;
    Ok(programs)
}

fn done_marker(environment: &Path) -> PathBuf {
    environment.join(".signalbox-installed")
}
