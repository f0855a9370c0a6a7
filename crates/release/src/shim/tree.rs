use std::collections::{HashMap, HashSet};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::Identity;
use super::environment::MARK;
use super::identity::Stat;
use crate::driver::InstanceId;

/// The same as [`below`] for a fraction of the work; it may miss who is just being started or ending, so that it is good for
/// measuring, not for ending.
pub(super) fn roughly_below(relay: Option<u32>) -> Vec<(u32, Stat)> {
    let mut found = Vec::new();
    let mut next = vec![std::process::id()];
    while let Some(parent) = next.pop() {
        // Where the kernel does not tell children.
        let Some(children) = children(parent) else { return below(relay) };
        for pid in children.into_iter().filter(|pid| Some(*pid) != relay) {
            found.extend(Stat::of(pid).map(|stat| (pid, stat)));
            next.push(pid);
        }
    }
    found
}

/// The children of all threads of a process; of one that has ended, none.
fn children(pid: u32) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        match std::fs::read_to_string(thread.path().join("children")) {
            Ok(text) => children.extend(text.split(' ').filter_map(|pid| pid.parse::<u32>().ok())),
            Err(_) if thread.path().exists() => return None,
            Err(_) => (),
        }
    }
    Some(children)
}

/// Everything that descends from this process except `relay`. The shim is a subreaper: whoever loses its parent below it
/// becomes its child, so nobody gets away.
pub(super) fn below(relay: Option<u32>) -> Vec<(u32, Stat)> {
    let all: HashMap<u32, Stat> = pids().filter_map(|pid| Some((pid, Stat::of(pid)?))).collect();
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, stat) in &all {
        children.entry(stat.parent).or_default().push(*pid);
    }
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut next = vec![std::process::id()];
    while let Some(parent) = next.pop() {
        for pid in children.get(&parent).into_iter().flatten().filter(|pid| Some(**pid) != relay) {
            if seen.insert(*pid) {
                found.push((*pid, all[pid]));
                next.push(*pid);
            }
        }
    }
    found
}

/// What the service left behind is killed and noticed, until nothing is there. Called when the service itself was noticed.
pub(super) fn end_below(relay: Option<u32>) -> bool {
    let left = below(relay);
    for (pid, stat) in &left {
        if stat.state == b'Z' {
            notice(*pid, *stat);
        } else {
            kill(*pid);
        }
    }
    left.is_empty()
}

/// Notices those that ended and became the shim's children, so that they do not stay as zombies.
pub(super) fn notice_adopted(tree: &[(u32, Stat)], service: u32) {
    for (pid, stat) in tree.iter().filter(|(pid, stat)| *pid != service && stat.state == b'Z') {
        notice(*pid, *stat);
    }
}

fn notice(pid: u32, stat: Stat) {
    if stat.parent == std::process::id()
        && let Some(pid) = as_pid(pid)
    {
        // Whose child it is may change in between; then its parent does it.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Kills a descendant that was seen just now. Its number stays taken until the shim or its parent has noticed its end.
pub(super) fn kill(pid: u32) {
    if let Some(pid) = as_pid(pid) {
        // It may have ended in this moment.
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn as_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// What these hold in memory and cannot give back: what each has for itself, swapped or not, and once the most of what they
/// may share. Pages of files are not in it: the system takes them back when it needs them.
pub(super) fn memory_bytes(tree: &[(u32, Stat)]) -> Option<u64> {
    let mut own = 0;
    let mut shared = 0;
    let mut seen = false;
    for (pid, _) in tree {
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let kib = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.strip_suffix("kB"));
            value.and_then(|value| value.trim().parse::<u64>().ok())
        };
        // One that has ended has no memory any more.
        let Some(anonymous) = kib("RssAnon") else { continue };
        own += anonymous + kib("VmSwap").unwrap_or(0);
        shared = shared.max(kib("RssShmem").unwrap_or(0));
        seen = true;
    }
    seen.then_some((own + shared) * 1024)
}

/// Every process that carries the mark of an instance in the environment that it was started with.
pub(crate) fn marked(id: &InstanceId) -> Vec<Identity> {
    let mark = format!("{MARK}={id}");
    let has = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    // The identity first: what is looked at behind it is of that process, or of nobody.
    let found = pids().filter_map(|pid| Some((pid, Identity::of(pid)?)));
    found.filter(|(pid, _)| has(pid)).map(|(_, identity)| identity).filter(Identity::lives).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 60; true"]).spawn().unwrap();
        let found = |tree: Vec<(u32, Stat)>| {
            let mut pids: Vec<u32> = tree.iter().filter(|(_, stat)| stat.state != b'Z').map(|(pid, _)| *pid).collect();
            pids.sort_unstable();
            pids
        };
        // The shell and what it starts, which takes a moment.
        while found(below(None)).len() < 2 || found(roughly_below(None)).len() < 2 {
            std::thread::yield_now();
        }
        let tree = found(below(None));
        assert_eq!(tree, found(roughly_below(None)));
        assert_eq!(found(below(Some(child.id()))), [0; 0]);
        assert_eq!(found(roughly_below(Some(child.id()))), [0; 0]);
        assert!(memory_bytes(&below(None)) > Some(100 << 10));
        tree.into_iter().for_each(kill);
        child.wait().unwrap();
    }
}
