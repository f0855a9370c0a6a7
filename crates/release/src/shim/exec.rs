use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit};

/// What is between the shim and the service for a moment: it dies with the shim, takes on the limits, and becomes the
/// service. Returns only when that fails.
pub fn exec(shim: u32, data_bytes: Option<u64>, files: Option<u64>, command: &[OsString]) -> io::Error {
    let Some((program, arguments)) = command.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "there is no command");
    };
    if let Err(error) = die_with(shim).and_then(|()| limit(data_bytes, files)) {
        return error;
    }
    let error = Command::new(program).args(arguments).exec();
    io::Error::new(error.kind(), format!("{}: {error}", program.to_string_lossy()))
}

/// From now on this process is killed when its parent dies: an instance whose shim is gone would be one that nobody knows.
pub(super) fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died just before.
    let still = getppid().map(Pid::as_raw_pid) == i32::try_from(parent).ok();
    if still { Ok(()) } else { Err(io::Error::other("the shim is gone")) }
}

fn limit(data_bytes: Option<u64>, files: Option<u64>) -> io::Result<()> {
    let set = |resource, most: u64| {
        // More than the system allows cannot be had: then as much as it does.
        let most = getrlimit(resource).maximum.map_or(most, |allowed| most.min(allowed));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
    };
    // A dump of memory holds secrets.
    set(Resource::Core, 0)?;
    if let Some(bytes) = data_bytes {
        set(Resource::Data, bytes)?;
    }
    if let Some(files) = files {
        set(Resource::Nofile, files)?;
    }
    Ok(())
}
