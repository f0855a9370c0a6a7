use std::time::Duration;

use anyhow::{Result, ensure};
use signalbox_e2e::client::Client;
use signalbox_e2e::control::{Askers, ControlHouse};
use signalbox_e2e::process;

use crate::{SERVICE, quick};

#[test]
fn what_makes_no_sense_is_refused_with_its_number() -> Result<()> {
    let house = ControlHouse::new(SERVICE)?;
    house.write(&quick())?;
    let nobody = house.deploy("1.0.0")?;
    ensure!(nobody.code == 1 && nobody.err.contains("signalbox control"), "{nobody:?}");
    let control = house.control(&[])?;
    let second = house.run(&["control", "--listen", "127.0.0.1:0"])?;
    ensure!(second.code == 7 && second.err.contains("another controller leads"), "{second:?}");
    let nothing = house.run(&["rollback"])?;
    ensure!(nothing.code == 10 && nothing.err.contains("no version was promoted"), "{nothing:?}");

    let mut wrong = quick();
    wrong.canary.push_str("hlod = \"1s\"\n");
    house.write(&wrong)?;
    let wrong = house.deploy("1.0.0")?;
    ensure!(wrong.code == 1 && wrong.err.contains("unknown key \"hlod\""), "{wrong:?}");
    let mut closed = quick();
    closed.more = "[[windows.freeze]]\nfrom = \"2020-01-01\"\nto = \"2199-01-01\"\nreason = \"holidays\"\n".into();
    house.write(&closed)?;
    let shut = house.deploy("1.0.0")?;
    ensure!(shut.code == 8, "{shut:?}");
    let locked = house.deploy("1.0.1")?;
    ensure!(locked.code == 7 && locked.err.contains("one at a time"), "{locked:?}");
    ensure!(house.run(&["release", "abort"])?.code == 0);
    house.settled()?;

    let mut unsigned = quick();
    unsigned.more = "[approvals]\nroles = [\"operations\"]\n".into();
    house.write(&unsigned)?;
    let waiting = house.deploy("1.0.0")?;
    ensure!(waiting.code == 6 && waiting.out.contains("operations has not signed"), "{waiting:?}");
    let stranger = house.run(&["release", "approve", "--role", "product"])?;
    ensure!(stranger.code == 10, "{stranger:?}");
    let signed = house.run(&["release", "approve", "--role", "operations", "--by", "ann"])?;
    ensure!(signed.code == 0, "{signed:?}");
    ensure!(house.settled()?["state"] == "promoted");

    house.write(&quick())?;
    ensure!(house.run(&["release", "lock", "--reason", "an audit"])?.code == 0);
    let frozen = house.deploy("2.0.0")?;
    ensure!(frozen.code == 7 && frozen.err.contains("an audit"), "{frozen:?}");
    ensure!(house.run(&["release", "lock", "--off"])?.code == 0);
    let unready = house.edge.data.parent().map(|folder| folder.join("release.toml"));
    let Some(file) = unready else { anyhow::bail!("no folder") };
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace("threshold = 40", "threshold = 95"))?;
    let unready = house.deploy("2.0.0")?;
    ensure!(unready.code == 3 && unready.out.contains("readiness"), "{unready:?}");
    std::fs::write(&file, text)?;

    // People who ask a running release.
    let askers = Askers::start(house.server.address, 4);
    let begun = house.run(&["deploy", "2.0.0"])?;
    ensure!(begun.code == 0, "{begun:?}");
    let paused = house.run(&["release", "pause", "--reason", "lunch"])?;
    ensure!(paused.code == 0, "{paused:?}");
    process::wait_for(Duration::from_secs(120), "the pause is not told", || {
        let status = house.run(&["status"])?;
        ensure!(status.code == 9 && status.out.contains("lunch"), "{status:?}");
        Ok(())
    })?;
    let alone = house.run(&["release", "promote", "--reason", "now", "--by", "ann", "--approver", "ann"])?;
    ensure!(alone.code == 10, "{alone:?}");
    ensure!(house.run(&["release", "resume"])?.code == 0);
    let back = house.run(&["rollback", "--reason", "a feeling", "--watch", "--timeout", "120s"])?;
    ensure!(back.code == 4 && back.out.contains("a feeling"), "{back:?}");
    house.only("1.0.0")?;
    let asked = askers.stop()?;
    ensure!(asked.failed.is_empty(), "{asked:?}");

    // Without the token nobody gets in by TCP; the socket is the owner's.
    let mut client = Client::connect(control.address)?;
    let refused = client.get("/api/v1/releases/overview")?;
    ensure!(refused.status == 401 && refused.text().contains("control/token"), "{refused:?}");
    let token = std::fs::read_to_string(house.edge.data.join("control/token"))?;
    let bearer = format!("Bearer {}", token.trim());
    let told = client.request("GET", "/api/v1/releases/overview", &[("Authorization", &bearer)], b"")?;
    ensure!(told.status == 200 && told.text().contains("\"stable\":\"1.0.0\""), "{told:?}");
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(house.edge.data.join("control").join(name)).map(|meta| meta.permissions().mode() & 0o777)
    };
    ensure!(mode("control.sock")? == 0o600 && mode("token")? == 0o600);
    process::wait_for(Duration::from_secs(120), "logs", || {
        let logs = house.run(&["release", "logs", "1.0.0"])?;
        ensure!(logs.out.contains("version 1.0.0 listens"), "{logs:?}");
        Ok(())
    })?;
    control.terminate()
}
