//! The units of systemd that we ship are ones that systemd takes, and their commands are ones that we have.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use signalbox_e2e::environment;

#[test]
fn the_units_are_right() -> Result<()> {
    let binary = environment::binary()?;
    let folder = environment::scratch("units")?;
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/systemd");
    let mut files = Vec::new();
    for unit in std::fs::read_dir(&units).with_context(|| units.display().to_string())? {
        let unit = unit?.path();
        let text = std::fs::read_to_string(&unit)?;
        ensure!(text.contains("ExecStart=/usr/bin/signalbox "), "{}", unit.display());
        let command =
            text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/signalbox ")).context("none")?;
        let help = Command::new(&binary).arg(command.split(' ').next().context("a command")?).arg("--help").output()?;
        let known = String::from_utf8(help.stdout)?;
        for option in command.split(' ').filter(|word| word.starts_with("--")) {
            ensure!(known.contains(option), "{}: {option} is no option: {known}", unit.display());
        }
        let ours = text.replace("/usr/bin/signalbox", binary.to_str().context("a path in UTF-8")?);
        let file = folder.path().join(unit.file_name().context("a name")?);
        std::fs::write(&file, ours)?;
        files.push(file);
    }
    ensure!(files.len() >= 3, "{files:?}");
    let checked = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&files).output()?;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    ensure!(checked.status.success() && !said.contains("signalbox"), "{said}");

    // What the controller leaves behind must live on.
    let control = std::fs::read_to_string(units.join("signalbox-control.service"))?;
    ensure!(control.lines().any(|line| line == "KillMode=process"), "{control}");
    Ok(())
}
