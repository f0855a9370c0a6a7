//! What the tests take from npm, installed once into the user's cache, exactly as `node/package-lock.json` pins it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{environment, process};

const MANIFEST: &str = include_str!("../../node/package.json");
const LOCK: &str = include_str!("../../node/package-lock.json");

/// The `node_modules` folder. Installs only when what is there is not what is pinned, and only if it may.
pub(crate) fn ensure(install: bool) -> Result<PathBuf> {
    let cache = environment::cache_folder().context("neither XDG_CACHE_HOME nor HOME says where caches go")?;
    let folder = cache.join("signalbox-test/node");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let modules = folder.join("node_modules");
    // Two test runs at once must not install over each other; the lock goes with the file handle.
    let one_at_a_time = File::create(folder.join("lock"))?;
    one_at_a_time.lock().context("cannot lock the cache of npm packages")?;
    if is_right(&folder) {
        return Ok(modules);
    }
    if !install {
        bail!("{} lacks the npm packages of the tests: run without --no-setup once", modules.display());
    }
    eprintln!("  installing npm packages into {}", modules.display());
    fs::write(folder.join("package.json"), MANIFEST)?;
    fs::write(folder.join("package-lock.json"), LOCK)?;
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]);
    process::run(&mut npm)?;
    // Written last: without it, what is there counts as unfinished.
    fs::write(done_marker(&folder), LOCK)?;
    Ok(modules)
}

fn is_right(folder: &Path) -> bool {
    fs::read_to_string(done_marker(folder)).is_ok_and(|installed| installed == LOCK)
}

/// Inside `node_modules`, so that it goes when somebody removes that.
fn done_marker(folder: &Path) -> PathBuf {
    folder.join("node_modules/.signalbox-installed")
}
