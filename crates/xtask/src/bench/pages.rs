//! The pages over the data of the demo: how fast they are answered, and what a browser says of loading them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::node;

const SCRIPT: &str = include_str!("../../node/pages.mjs");

pub(crate) fn run(binary: &Path, requests: u32, json: Option<&Path>) -> Result<()> {
    let modules = node::ensure(true)?;
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("pages.mjs");
    std::fs::write(&script, SCRIPT)?;
    let (demo, server, link) = start(binary)?;
    let mut measure = Command::new("node");
    measure.arg(&script).env("MODULES", modules).env("SERVER", server).env("LINK", link);
    if let Some(file) = json {
        measure.env("JSON_FILE", std::path::absolute(file)?);
    }
    let measured = process::run(measure.env("REQUESTS", requests.to_string()));
    drop(demo);
    measured
}

/// The demo, ended with the value.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // It keeps everything in a folder of its own, and nobody looks at it any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(binary: &Path) -> Result<(Demo, String, String)> {
    let mut command = Command::new(binary);
    command.args(["demo", "--without-releases", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut demo = Demo(command.spawn().context("cannot start the demo")?);
    let stdout = demo.0.stdout.take().context("the demo has no stdout")?;
    let mut place = None;
    let mut lines = BufReader::new(stdout).lines();
    for line in lines.by_ref() {
        let line = line?;
        if let Some((_, rest)) = line.split_once("pages      http://") {
            let (address, path) = rest.trim().split_once('/').context("no path behind the address")?;
            place = Some((format!("http://{address}"), format!("/{path}")));
        }
        if line.contains("Pages stay up") {
            // Whatever it says later is read, so that it never waits for a reader.
            std::thread::spawn(move || lines.for_each(drop));
            let (server, link) = place.context("the demo did not say where its pages are")?;
            return Ok((demo, server, link));
        }
    }
    bail!("the demo ended early")
}
