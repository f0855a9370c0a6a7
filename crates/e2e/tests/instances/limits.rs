use anyhow::{Result, ensure};
use signalbox_release::driver::{ExitHow, State};

use crate::rig::{House, LONG, ask};

#[test]
fn who_takes_too_much_memory_is_killed_and_told() -> Result<()> {
    let house = House::new()?;
    let instance = house.start(&house.service(&["--fault", "leak 4"], "limits = { memory = \"64 MiB\" }")?)?;
    let killed = house.until(&instance.id, "not killed", |instance| instance.last_exit.is_some())?;
    let exit = killed.last_exit.expect("it has one");
    ensure!(exit.how == ExitHow::Signal(9), "{exit:?}");
    ensure!(exit.said.starts_with("over its limit of memory: ") && exit.said.ends_with(" MiB of 64 MiB"), "{exit:?}");
    ensure!(killed.memory_limit_bytes == Some(64 << 20));
    house.stop(&instance.id, LONG)?;
    Ok(())
}

#[test]
fn limits_of_the_system_are_set() -> Result<()> {
    let house = House::new()?;
    let instance = house.start(&house.service(&[], "limits = { memory = \"64 MiB\", files = 128 }")?)?;
    house.until_state(&instance.id, State::Healthy)?;
    let limits = ask(instance.address, "/limits")?;
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).take(2).collect::<Vec<_>>()
    };
    ensure!(limit("Max open files") == ["128", "128"], "{limits}");
    ensure!(limit("Max core file size") == ["0", "0"], "{limits}");
    let data = ((64_u64 << 20) * 4 + (4 << 30)).to_string();
    ensure!(limit("Max data size") == [data.clone(), data], "{limits}");
    house.stop(&instance.id, LONG)?;
    Ok(())
}

#[test]
fn output_is_kept_and_bounded() -> Result<()> {
    let house = House::new()?;
    // About 48 MB: more than the four files that are kept.
    let instance = house.start(&house.service(&["--fault", "chatter 200000"], "")?)?;
    house.until_state(&instance.id, State::Healthy)?;
    let mut sizes = Vec::new();
    for entry in std::fs::read_dir(house.instance_folder(&instance.id))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("output.log") {
            sizes.push(entry.metadata()?.len());
        }
    }
    ensure!(sizes.len() == 4 && sizes.iter().all(|size| *size <= 8 << 20), "{sizes:?}");
    let logs = house.logs(&instance.id)?;
    let numbers =
        logs.lines().filter_map(|line| line.split_once(" out chatter ")?.1.split(' ').next()?.parse::<u32>().ok());
    let numbers: Vec<u32> = numbers.collect();
    ensure!(numbers.last() == Some(&199_999) && numbers.windows(2).all(|two| two[1] == two[0] + 1), "in order, no gap");
    ensure!(logs.contains(" out version 1.0.0 listens on"));
    let tail = house.runtime.block_on(signalbox_release::driver::Driver::logs(&house.driver, &instance.id, 1000))?;
    ensure!(tail.is_some_and(|tail| tail.len() <= 1000 && logs.ends_with(&tail)));
    house.stop(&instance.id, LONG)?;
    Ok(())
}
