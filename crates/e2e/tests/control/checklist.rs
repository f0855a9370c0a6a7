//! What has to be done before a release may touch production.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use signalbox_e2e::control::ControlHouse;
use signalbox_e2e::process;

use crate::{SERVICE, quick};

#[test]
fn a_release_waits_for_its_checklist_and_for_open_risks() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    let control = house.control(&[])?;
    let folder = house.edge.data.parent().context("a folder")?;
    let mut manifest = quick();
    manifest.more = "[[checklist]]\nat = \"T-24h\"\nwhat = \"announce it to support\"\n\
                     [[checklist]]\nat = \"T-0\"\nwhat = \"warm the cache\"\nrun = [\"sh\", \"-c\", \"test -e warm && echo 40 pages\"]\n\
                     [[checklist]]\nat = \"T+30min\"\nwhat = \"look at the orders\"\n\
                     [[checklist]]\nat = \"T+1s\"\nwhat = \"tell the shops\"\nrun = [\"echo\", \"7 shops\"]\n"
        .into();
    house.write(&manifest)?;
    // A command that fails ticks nothing, and says why.
    let waiting = house.deploy("1.0.0")?;
    ensure!(waiting.code == 3 && waiting.out.contains("\"announce it to support\" is not done"), "{waiting:?}");
    std::fs::write(folder.join("warm"), "")?;
    let list = |more: &[&str]| house.run(&[&["release", "checklist", "1.0.0", "--by", "ann"], more].concat());
    let nothing = list(&["--done", "call mum"])?;
    ensure!(nothing.code == 10 && nothing.err.contains("no item"), "{nothing:?}");
    let several = list(&["--done", "it"])?;
    ensure!(several.code == 0, "one item alone has it: {several:?}");
    let ticked = list(&[])?;
    ensure!(ticked.out.contains("T-1d     done   announce it to support  ann (uid"), "{ticked:?}");
    let twice = list(&["--done", "announce"])?;
    ensure!(twice.code == 10 && twice.err.contains("already"), "{twice:?}");
    let newest = house.settled()?;
    ensure!(newest["state"] == "promoted", "{newest}");
    let done = list(&[])?;
    ensure!(done.out.contains("40 pages") && done.out.contains("later  look at the orders"), "{done:?}");

    // What is due afterwards is done afterwards.
    process::wait_for(Duration::from_secs(60), "the shops are not told", || {
        let told = list(&[])?;
        ensure!(told.out.contains("7 shops"), "{told:?}");
        Ok(())
    })?;

    // What was done for one version was not done for another.
    manifest.more.push_str("[[risk]]\nwhat = \"carts\"\nkind = \"business\"\nlevel = \"high\"\n");
    house.write(&manifest)?;
    let other = house.deploy("2.0.0")?;
    ensure!(other.code == 3 && other.out.contains("risk \"carts\" is high and has no mitigation"), "{other:?}");
    ensure!(other.out.contains("is not done"), "{other:?}");
    ensure!(house.run(&["release", "abort"])?.code == 0);
    house.only("1.0.0")?;
    control.terminate()
}
