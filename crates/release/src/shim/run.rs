use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode;
use rustix::process::{getpid, set_child_subreaper, setsid, umask};
use signalbox_core::clock::Clock;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::folder::SOCKET;
use super::log::Log;
use super::sandbox::forward;
use super::serve::{Desk, Examiner, serve};
use super::supervise::{Order, Supervisor};
use super::{Folder, Identity, Spec, Status};

/// Stands over the instance of that folder until it is stopped or given up. Standard input is the lock of the folder, which
/// the driver holds already; whoever starts it otherwise must find it free.
pub fn run(folder: &Path, clock: Arc<dyn Clock>) -> io::Result<()> {
    // It fails where this process leads a session already, which is as good.
    let _ = setsid();
    umask(Mode::from_raw_mode(0o077));
    let folder = Folder::at(folder.canonicalize()?);
    let _lock = hold(&folder)?;
    let spec = Arc::new(folder.spec()?);
    set_child_subreaper(Some(getpid()))?;
    // Paths of sockets are short.
    std::env::set_current_dir(folder.path())?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(stand(spec, folder, clock))
}

/// The lock of the folder: the one that was handed over, or one that nobody holds.
fn hold(folder: &Folder) -> io::Result<File> {
    let given = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    if folder.is_lock(&given)? {
        return Ok(given);
    }
    folder.lock()?.ok_or_else(|| io::Error::other("another shim stands over this instance"))
}

async fn stand(spec: Arc<Spec>, folder: Folder, clock: Arc<dyn Clock>) -> io::Result<()> {
    let status = Status::new(spec.id.clone(), Identity::own()?, clock.now());
    let (told, seen) = watch::channel(status);
    let (orders, ordered) = mpsc::channel(16);
    match std::fs::remove_file(SOCKET) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let listener = UnixListener::bind(SOCKET)?;
    if spec.sandbox.is_some() {
        tokio::spawn(forward(TcpListener::bind(spec.address()).await?));
    }
    let mut terminated = signal(SignalKind::terminate())?;
    let (grace, sender) = (spec.stop.0, orders.clone());
    tokio::spawn(async move {
        while terminated.recv().await.is_some() {
            let _ = sender.send(Order::Stop { grace, done: None }).await;
        }
    });
    let examiner = Examiner::new(Arc::clone(&spec), seen.clone());
    tokio::spawn(serve(listener, Desk { examiner: examiner.clone(), told: seen, orders }));
    let log = Log::open(folder.path(), spec.log, Arc::clone(&clock));
    Supervisor::new(spec, folder, clock, told, ordered, log, examiner).run().await;
    // Those who waited get their answers.
    tokio::task::yield_now().await;
    Ok(())
}
