//! Running commands of the manifest: no shell, a time limit, the end of what they said.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// What is kept of each stream.
const KEPT: usize = 4096;
/// Of an answer that is read.
const WHOLE: usize = 1 << 20;
/// For what grandchildren still write.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a command to its end. It fails with what it said when it does not end with 0; whoever stops waiting kills it.
pub(super) async fn run(words: &[String], folder: &Path, variables: &[(&str, String)]) -> Result<String, String> {
    let (first, arguments) = words.split_first().ok_or("the command is empty")?;
    program(first, first, arguments, folder, variables).await
}

/// The same for a program that is called `called`.
pub(super) async fn program(
    program: &str,
    called: &str,
    arguments: &[String],
    folder: &Path,
    variables: &[(&str, String)],
) -> Result<String, String> {
    ended(program, called, arguments, folder, variables, KEPT).await
}

/// The same, with all of what it said on standard output and nothing else, up to a limit far above what it says.
pub(super) async fn whole(
    program: &str,
    called: &str,
    arguments: &[String],
    folder: &Path,
    variables: &[(&str, String)],
) -> Result<String, String> {
    ended(program, called, arguments, folder, variables, WHOLE).await
}

async fn ended(
    program: &str,
    called: &str,
    arguments: &[String],
    folder: &Path,
    variables: &[(&str, String)],
    kept: usize,
) -> Result<String, String> {
    let shown = format!("{called} {}", arguments.join(" "));
    // A path is one from the manifest's folder, a bare name one of the system.
    let program = if program.contains('/') { folder.join(program) } else { program.into() };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).envs(variables.iter().map(|(name, value)| (*name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{shown}: {error}"))?;
    let out = child.stdout.take().map(|stream| tokio::spawn(last(stream, kept)));
    let err = child.stderr.take().map(|stream| tokio::spawn(last(stream, KEPT)));
    let status = child.wait().await.map_err(|error| format!("{shown}: {error}"))?;
    let mut said = String::new();
    // Warnings are for people, not for whoever reads the answer.
    let err = err.filter(|_| kept == KEPT || !status.success());
    for reading in [out, err].into_iter().flatten() {
        if let Ok(Ok(text)) = tokio::time::timeout(LAST_WORDS, reading).await {
            said.push_str(&text);
        }
    }
    let said = said.trim();
    if status.success() {
        return Ok(said.to_owned());
    }
    let lines: Vec<&str> = said.lines().rev().take(5).collect();
    let said: Vec<&str> = lines.into_iter().rev().collect();
    Err(format!("{shown} ended with {status}: {}", said.join(" / ")))
}

async fn last(mut stream: impl AsyncRead + Unpin, most: usize) -> String {
    let mut kept = Vec::new();
    let mut bytes = vec![0; KEPT];
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        kept.extend_from_slice(&bytes[..count]);
        let surplus = kept.len().saturating_sub(most);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str) -> Result<String, String> {
        let words = ["sh", "-c", script].map(str::to_owned);
        run(&words, Path::new("/"), &[("COLOUR", "blue".into())]).await
    }

    #[tokio::test]
    async fn a_command_says_how_it_went() {
        assert_eq!(sh("echo $COLOUR").await, Ok("blue".into()));
        let error = sh("echo one; echo two >&2; exit 3").await.unwrap_err();
        assert!(error.contains("exit status: 3") && error.contains("one") && error.contains("two"), "{error}");
        assert!(run(&["./not-there".into()], Path::new("/"), &[]).await.is_err());
        // Much output neither blocks nor fills the memory.
        assert!(sh("yes | head -c 1000000").await.unwrap().len() <= KEPT);
    }
}
