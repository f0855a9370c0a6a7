use std::process::Stdio;

use tokio::process::Command;

use super::Spec;
use super::sandbox::{Relay, program};

/// Far above what is measured: it only stops who takes everything between two measurements. It counts what is reserved,
/// not what is used, so it cannot be the limit itself.
fn data_bytes(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_mul(4).saturating_add(4 << 30)
}

/// The command that becomes the service: `shim exec` first, which takes on limits, then the sandbox, then the service, all of
/// them the same process.
pub(super) fn command(spec: &Spec, relay: Option<&Relay>) -> Result<Command, String> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("signalbox").args(["shim", "exec", "--shim", &std::process::id().to_string()]);
    if let Some(bytes) = spec.memory_bytes {
        command.args(["--data-bytes", &data_bytes(bytes).to_string()]);
    }
    if let Some(files) = spec.files {
        command.args(["--files", &files.to_string()]);
    }
    command.arg("--");
    if let Some(namespaces) = spec.sandbox {
        let relay = relay.ok_or("there is no sandbox to start in")?;
        command.arg(program("nsenter", "util-linux")?).args(["--target", &relay.pid.to_string()]);
        command.args(namespaces.nsenter()).arg("--");
    }
    command.args(&spec.command).current_dir(&spec.folder).env_clear().envs(&spec.env);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}
