//! The quick start of docs/releases.md works as it is written.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use signalbox_e2e::control::{Askers, ControlHouse};
use signalbox_e2e::{environment, process};

use crate::SERVICE;

const DOCUMENT: &str = include_str!("../../../../docs/releases.md");

/// What stands between a fence of that kind and its end, from a heading on.
fn block(kind: &str, heading: &str) -> Result<&'static str> {
    let (_, rest) = DOCUMENT.split_once(heading).context("the heading")?;
    let (_, rest) = rest.split_once(&format!("```{kind}\n")).context("a block")?;
    Ok(rest.split_once("```").context("its end")?.0)
}

#[test]
fn the_quick_start_works_as_it_is_written() -> Result<()> {
    environment::program("python3", "python3")?;
    let house = ControlHouse::new(SERVICE)?;
    let folder = house.edge.data.parent().context("a folder")?;
    let lines = block("console", "### Quick start")?.lines().filter_map(|line| line.strip_prefix("$ "));
    let script: Vec<&str> = lines.collect();
    process::output(Command::new("sh").arg("-c").arg(script.join("\n")).current_dir(folder))?;
    std::fs::write(folder.join("release.toml"), block("toml", "### Quick start")?)?;
    let control = house.control(&[])?;
    house.promote("1.0.0")?;
    let page = house.server.get("/")?;
    ensure!(page.text().contains("shop"), "{page:?}");
    let askers = Askers::start_at(house.server.address, 2, "/");
    house.promote("2.0.0")?;
    let refused = house.deploy("3.0.0")?;
    ensure!(refused.code == 4 && refused.out.contains("does not contain \"shop\""), "{refused:?}");
    let back = house.run(&["rollback", "--watch"])?;
    ensure!(back.code == 0, "{back:?}");
    house.only("1.0.0")?;
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty() && asked.answered > 100, "{asked:?}");
    let history = house.run(&["release", "history"])?;
    ensure!(history.out.contains("2.0.0 → 3.0.0    rolled back"), "{history:?}");
    control.terminate()
}
