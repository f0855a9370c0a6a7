use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use signalbox_e2e::process;
use signalbox_release::driver::process::digest_of_path;
use signalbox_release::driver::{Artifact, Driver as _, DriverError, Fetched, State};
use signalbox_release::model::value::Digest;

use crate::rig::{House, LONG, version};

fn artifact(house: &House, path: &Path, sha256: Digest) -> Result<Result<Fetched, DriverError>> {
    let service = "shop".parse().map_err(anyhow::Error::msg)?;
    let artifact = Artifact { service, version: version("1.0.0")?, path: path.to_owned(), sha256 };
    Ok(house.runtime.block_on(house.driver.fetch(&artifact)))
}

#[test]
fn what_was_checked_is_what_runs() -> Result<()> {
    let house = House::new()?;
    let shop = house.path().join("shop");
    std::fs::copy(env!("CARGO_BIN_EXE_signalbox-e2e-service"), &shop)?;
    let printed = process::output(Command::new("sha256sum").arg(&shop))?;
    let right: Digest = printed.split(' ').next().unwrap_or_default().parse().map_err(anyhow::Error::msg)?;
    let wrong = Digest::of(b"something else");
    let refused = artifact(&house, &shop, wrong)?;
    ensure!(matches!(refused, Err(DriverError::ChecksumDiffers { .. })), "{refused:?}");
    ensure!(std::fs::read_dir(house.path().join("place/artifacts/shop"))?.count() == 0, "nothing is left");
    let fetched = artifact(&house, &shop, right)??;
    ensure!(fetched == artifact(&house, &shop, right)??, "twice is once");
    let other = artifact(&house, &shop, wrong)?;
    ensure!(matches!(other, Err(DriverError::OtherArtifact { .. })), "{other:?}");
    std::fs::remove_file(&shop)?;
    let launch = house.launch(&house.service_of(&["./shop", "--port", "{port}"], "")?)?.of(fetched.clone());
    let instance = house.start_as(&launch)?;
    house.until_state(&instance.id, State::Healthy)?;
    ensure!(house.instance(&instance.id)?.artifact == Some(right));
    house.stop(&instance.id, LONG)?;
    // Somebody changes what lies there: it is not started again.
    let copy = fetched.folder.join("shop");
    ensure!(copy.metadata()?.permissions().mode() & 0o222 == 0, "nobody writes to it by accident");
    std::fs::remove_file(&copy)?;
    std::fs::write(&copy, "#!/bin/sh\n")?;
    let refused = house.runtime.block_on(house.driver.start(&launch));
    ensure!(matches!(refused, Err(DriverError::ChecksumDiffers { .. })), "{refused:?}");
    ensure!(house.list()?.len() == 1, "no instance was made");
    Ok(())
}

#[test]
fn the_sum_of_a_folder_is_what_the_documented_command_prints() -> Result<()> {
    let house = House::new()?;
    let folder = house.path().join("shop-folder");
    for (name, text) in [("b", "1"), ("a/z", "2"), ("a.txt", "3"), ("a/B", "4"), ("é", "5"), ("a b", "6")] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one"))?;
        std::fs::write(path, text)?;
    }
    let documented = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum";
    let printed = process::output(Command::new("sh").args(["-c", documented]).current_dir(&folder))?;
    let right: Digest = printed.split(' ').next().unwrap_or_default().parse().map_err(anyhow::Error::msg)?;
    ensure!(digest_of_path(&folder)? == right);
    let fetched = artifact(&house, &folder, right)??;
    ensure!(fetched.bytes == 6 && std::fs::read_to_string(fetched.folder.join("a/z"))? == "2");
    // One byte of one file, a file more, a link out of it: each is another artifact or none.
    std::fs::write(folder.join("b"), "7")?;
    ensure!(digest_of_path(&folder)? != right);
    std::fs::write(folder.join("b"), "1")?;
    std::fs::write(folder.join("c"), "")?;
    ensure!(digest_of_path(&folder)? != right);
    std::fs::remove_file(folder.join("c"))?;
    ensure!(digest_of_path(&folder)? == right);
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link"))?;
    ensure!(matches!(digest_of_path(&folder), Err(DriverError::Artifact { .. })));
    Ok(())
}

#[test]
fn old_artifacts_go_and_what_is_used_or_kept_stays() -> Result<()> {
    let house = House::new()?;
    let shop = house.path().join("shop");
    std::fs::copy(env!("CARGO_BIN_EXE_signalbox-e2e-service"), &shop)?;
    let sum = digest_of_path(&shop)?;
    let service = "shop".parse().map_err(anyhow::Error::msg)?;
    let place = house.path().join("place/artifacts/shop");
    let mut fetched = Vec::new();
    for number in 1..=5 {
        let version = version(&format!("1.0.{number}"))?;
        let artifact = Artifact { service: Clone::clone(&service), version, path: shop.clone(), sha256: sum };
        fetched.push(house.runtime.block_on(house.driver.fetch(&artifact))?);
        // Their times of fetching differ, however fast this goes.
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 * number);
        std::fs::File::open(place.join(format!("1.0.{number}")))?.set_modified(at)?;
    }
    let launch = house.launch(&house.service_of(&["./shop", "--port", "{port}"], "")?)?;
    let used = signalbox_release::driver::Launch { version: version("1.0.2")?, ..launch }.of(fetched[1].clone());
    let instance = house.start_as(&used)?;
    // Half removed by somebody who was killed.
    std::fs::create_dir(place.join(".old-0.9.0"))?;
    let keep = [version("1.0.1")?];
    let removed = house.runtime.block_on(house.driver.prune(&keep, 2))?;
    ensure!(removed == [version("1.0.3")?], "{removed:?}");
    let left = || -> Result<Vec<String>> {
        let names = std::fs::read_dir(&place)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    ensure!(left()? == ["1.0.1", "1.0.2", "1.0.4", "1.0.5"], "{:?}", left()?);
    house.stop(&instance.id, LONG)?;
    house.clean_up()?;
    let removed = house.runtime.block_on(house.driver.prune(&[], 1))?;
    ensure!(removed.len() == 3 && left()? == ["1.0.5"], "{removed:?}");
    Ok(())
}
