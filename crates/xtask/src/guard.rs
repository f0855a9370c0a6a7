//! Cleaning up, however this process ends: a second process reads orders from a pipe and carries out at end of file
//! those that were not withdrawn. So Ctrl-C, a panic and `kill -9` leave neither a server nor a folder behind.

use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// How long a process may take to obey before it is killed. The test runner gives its own tests ten seconds.
pub(crate) const GRACE: Duration = Duration::from_secs(15);

pub(crate) struct Guard {
    orders: Mutex<Option<ChildStdin>>,
    process: Mutex<Child>,
}

/// What is undone at the end: process groups are stopped, last started first; then paths are removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Stop { group: i32, signal: i32 },
    Remove(PathBuf),
}

impl Guard {
    pub(crate) fn start() -> Result<Arc<Self>> {
        let own = std::env::current_exe().context("where is this program?")?;
        let mut command = Command::new(own);
        // A group of its own: the terminal's Ctrl-C must not reach it.
        let mut process = command
            .arg("guard")
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start the process that cleans up")?;
        let orders = Mutex::new(process.stdin.take());
        Ok(Arc::new(Self { orders, process: Mutex::new(process) }))
    }

    pub(crate) fn order(&self, order: &Order) {
        self.tell('+', order);
    }

    pub(crate) fn withdraw(&self, order: &Order) {
        self.tell('-', order);
    }

    fn tell(&self, sign: char, order: &Order) {
        let mut orders = self.orders.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(pipe) = orders.as_mut() else { return };
        if let Err(error) = pipe.write_all(format!("{sign}{}\n", order.to_line()).as_bytes()) {
            eprintln!("warning: the process that cleans up is gone ({error}); {order:?} may be left to you");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let close = |orders: &Mutex<Option<ChildStdin>>| {
            orders.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        };
        close(&self.orders);
        let mut process = self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Err(error) = process.wait() {
            eprintln!("warning: cannot wait for the process that cleans up: {error}");
        }
    }
}

impl Order {
    fn to_line(&self) -> String {
        match self {
            Self::Stop { group, signal } => format!("stop {group} {signal}"),
            Self::Remove(path) => format!("remove {}", path.display()),
        }
    }

    fn from_line(line: &str) -> Option<Self> {
        let (verb, rest) = line.split_once(' ')?;
        match verb {
            "stop" => {
                let (group, signal) = rest.split_once(' ')?;
                Some(Self::Stop { group: group.parse().ok()?, signal: signal.parse().ok()? })
            }
            "remove" => Some(Self::Remove(PathBuf::from(rest))),
            _ => None,
        }
    }

    fn carry_out(&self) {
        match self {
            Self::Stop { group, signal } => {
                if let (Some(group), Some(signal)) = (Pid::from_raw(*group), Signal::from_named_raw(*signal)) {
                    stop_group(group, signal);
                }
            }
            Self::Remove(path) => remove(path),
        }
    }
}

/// Reads orders until the other side is gone, then carries out those that still stand.
pub(crate) fn keep_watch(orders: impl BufRead) {
    let standing = standing(orders);
    for order in standing.iter().rev().filter(|order| matches!(order, Order::Stop { .. })) {
        order.carry_out();
    }
    for order in standing.iter().rev().filter(|order| matches!(order, Order::Remove(_))) {
        order.carry_out();
    }
}

fn standing(orders: impl BufRead) -> Vec<Order> {
    let mut standing = Vec::new();
    for line in orders.lines().map_while(Result::ok) {
        let Some((sign, order)) = line.split_at_checked(1) else { continue };
        match (sign, Order::from_line(order)) {
            ("+", Some(order)) => standing.push(order),
            ("-", Some(order)) => standing.retain(|other| *other != order),
            _ => eprintln!("warning: the process that cleans up does not know `{line}`"),
        }
    }
    standing
}

/// Asks a process group to end, and kills what is left of it after [`GRACE`].
fn stop_group(group: Pid, signal: Signal) {
    if kill_process_group(group, signal).is_err() {
        return;
    }
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if !lives(group) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // It may have ended in this moment: then there is nothing to kill.
    kill_process_group(group, Signal::KILL).ok();
}

/// Whether a process of the group still runs. One that has ended and that nobody has waited for yet does not count:
/// in a container there may be nobody who ever does.
fn lives(group: Pid) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return test_kill_process_group(group).is_ok() };
    processes.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()).any(|stat| {
        // After the name in parentheses: state, parent, group.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or(vec![], |(_, rest)| rest.split_whitespace().take(3).collect());
        matches!(fields[..], [state, _, number] if state != "Z" && number.parse() == Ok(group.as_raw_nonzero().get()))
    })
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            eprintln!("warning: cannot remove {}: {error}", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_withdrawn_does_not_stand() {
        let lines = "+stop 12 2\n+remove /tmp/with a space\n+stop 13 15\n-stop 12 2\nnonsense\n";
        let expected = vec![Order::Remove("/tmp/with a space".into()), Order::Stop { group: 13, signal: 15 }];
        assert_eq!(standing(lines.as_bytes()), expected);
    }

    #[test]
    fn a_folder_that_still_stands_is_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner");
        std::fs::create_dir(&path).unwrap();
        keep_watch(format!("+remove {}\n", path.display()).as_bytes());
        assert!(!path.exists());
    }

    #[test]
    fn a_process_that_still_stands_is_stopped_at_the_end() {
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let order = format!("+stop {} 15\n", child.id());
        let watcher = std::thread::spawn(move || keep_watch(order.as_bytes()));
        assert!(!child.wait().unwrap().success());
        watcher.join().unwrap();
    }
}
