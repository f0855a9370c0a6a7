//! Documents of releases, from what is recorded.

use anyhow::{Context, Result, ensure};
use signalbox_e2e::control::{Askers, ControlHouse};

use crate::{SERVICE, STAGED, quick};

#[test]
fn documents_are_written_from_what_is_recorded_and_changes_are_found() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let mut manifest = quick();
    manifest.more = format!("{STAGED}\n[[risk]]\nwhat = \"carts | <b>\"\nkind = \"technical\"\nlevel = \"low\"\n");
    house.write(&manifest)?;
    let nothing = house.run(&["release", "report", "--kind", "summary"])?;
    ensure!(nothing.code == 1 && nothing.err.contains("there is no release yet"), "{nothing:?}");
    house.promote("1.0.0")?;
    house.fault("2.0.0", "errors 50")?;
    let askers = Askers::start(house.server.address, 4);
    let back = house.deploy("2.0.0")?;
    askers.stop()?;
    ensure!(back.code == 4, "{back:?}");

    let folder = house.edge.data.parent().context("a folder")?;
    let file = folder.join("report");
    let path = file.to_str().context("a path")?;
    for version in ["1.0.0", "2.0.0"] {
        for kind in ["readiness", "plan", "authorization", "summary"] {
            for format in ["markdown", "html"] {
                let report = |more: &[&str]| {
                    house.run(&[&["release", "report", version, "--kind", kind, "--format", format], more].concat())
                };
                let printed = report(&[])?;
                ensure!(printed.code == 0 && printed.out.contains(&format!("shop {version}")), "{printed:?}");
                ensure!(!printed.out.contains("<b>"), "{printed:?}");
                ensure!(report(&["--file", path])?.code == 0);
                let stored = std::fs::read_to_string(&file)?;
                ensure!(stored == printed.out, "what is printed is what is stored");
                let verified = report(&["--verify", path])?;
                ensure!(verified.code == 0 && verified.out.starts_with("all "), "{verified:?}");
                std::fs::write(&file, stored.replacen(version, "9.9.9", 1))?;
                let changed = report(&["--verify", path])?;
                ensure!(changed.code == 1 && changed.out.contains("9.9.9"), "{changed:?}");
            }
        }
    }
    let summary = |version: &str| house.run(&["release", "report", version, "--kind", "summary"]);
    let good = summary("1.0.0")?.out;
    ensure!(good.contains("Promoted after") && good.contains("Decision: go"), "{good}");
    ensure!(good.contains("1.0.0: 0 accepted = 0 ended + 0 broken off by clients + 0 open"), "{good}");
    let bad = summary("2.0.0")?.out;
    ensure!(bad.contains("Rolled back after") && bad.contains("all traffic back on 1.0.0"), "{bad}");
    ensure!(house.run(&["rollback"])?.code == 10, "there is nothing to go back to");
    control.terminate()
}
