use std::collections::HashSet;

use super::identity::Stat;

/// Whether one of these processes listens on the port. Somebody else who was faster may answer there, even with the right
/// version. None where the system does not say.
pub(super) fn is_theirs(port: u16, tree: &[(u32, Stat)]) -> Option<bool> {
    let mut inodes = HashSet::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let Ok(text) = std::fs::read_to_string(table) else { continue };
        inodes.extend(text.lines().filter_map(|line| listening(line, port)));
    }
    if inodes.is_empty() {
        return None;
    }
    let mut readable = false;
    for (pid, _) in tree {
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            readable = true;
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let inode = target.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if inode.is_some_and(|inode: u64| inodes.contains(&inode)) {
                return Some(true);
            }
        }
    }
    // The descriptors of a service that changed its user cannot be read.
    readable.then_some(false)
}

/// The inode of the socket, where the line is of one that listens on the port.
fn listening(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (_, digits) = local.rsplit_once(':')?;
    let listens = *state == "0A" && u16::from_str_radix(digits, 16) == Ok(port);
    listens.then(|| inode.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_owner_of_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = std::process::id();
        assert_eq!(is_theirs(port, &[(own, Stat::of(own).unwrap())]), Some(true));
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(is_theirs(port, &[(other.id(), Stat::of(other.id()).unwrap())]), Some(false));
        other.kill().unwrap();
        other.wait().unwrap();
        drop(listener);
        assert_eq!(is_theirs(port, &[(own, Stat::of(own).unwrap())]), None);
    }
}
