//! Playing the recipients' mail clients: real requests over real connections.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use signalbox_events::kind::Class;

use super::stage::Cue;

/// Connections of the crowd.
const PLAYERS: usize = 24;
const PATIENCE: Duration = Duration::from_secs(10);

/// What came back for one request.
#[derive(Debug, Clone)]
pub struct Played {
    /// The id of the recorded event, when it was acknowledged.
    pub event: Option<String>,
    pub played: Class,
    pub took: Duration,
}

/// Plays every recipient's acts, in order for each, until done or interrupted. `progress` is told how many are through.
pub fn play(
    server: SocketAddr,
    cues: &[Vec<Cue>],
    interrupted: &AtomicBool,
    mut progress: impl FnMut(usize),
) -> anyhow::Result<Vec<Played>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let ended = AtomicUsize::new(0);
    let count = PLAYERS.min(cues.len());
    let once = || cues.get(next.fetch_add(1, Ordering::Relaxed)).map(Vec::as_slice);
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    let result = player(server, once, Duration::ZERO, interrupted, &done);
                    ended.fetch_add(1, Ordering::SeqCst);
                    result
                })
            })
            .collect();
        while ended.load(Ordering::SeqCst) < count {
            progress(next.load(Ordering::Relaxed).min(cues.len()));
            std::thread::sleep(Duration::from_millis(40));
        }
        players.into_iter().try_for_each(|player| player.join().map_err(|_| anyhow::anyhow!("a player crashed"))?)
    })?;
    progress(cues.len());
    Ok(done.into_inner().unwrap_or_default())
}

/// Plays every recipient's acts again and again, so many requests a second, while `story` goes on.
pub fn play_beside<T>(
    server: SocketAddr,
    cues: &[Vec<Cue>],
    rate: f64,
    story: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<(T, Vec<Played>)> {
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(Vec::new());
    let pace = Duration::from_secs_f64(PLAYERS as f64 / rate);
    let busy: Vec<&[Cue]> = cues.iter().map(Vec::as_slice).filter(|cues| !cues.is_empty()).collect();
    let again = || Some(busy[next.fetch_add(1, Ordering::Relaxed) % busy.len()]);
    let told = std::thread::scope(|scope| {
        let players: Vec<_> = (0..PLAYERS).map(|_| scope.spawn(|| player(server, again, pace, &over, &done))).collect();
        let told = story();
        over.store(true, Ordering::SeqCst);
        players.into_iter().try_for_each(|player| player.join().map_err(|_| anyhow::anyhow!("a player crashed"))?)?;
        told
    })?;
    Ok((told, done.into_inner().unwrap_or_default()))
}

/// One connection: recipients one after the other, at least `pace` between the beginnings of two requests.
fn player<'c>(
    server: SocketAddr,
    next: impl Fn() -> Option<&'c [Cue]>,
    pace: Duration,
    interrupted: &AtomicBool,
    done: &Mutex<Vec<Played>>,
) -> anyhow::Result<()> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut requests = stream;
    let mut mine = Vec::new();
    'playing: while let Some(recipient) = next() {
        for cue in recipient {
            if interrupted.load(Ordering::Relaxed) {
                break 'playing;
            }
            let started = Instant::now();
            // The server is told to believe this machine's X-Forwarded-For, as it would a proxy's.
            let request = format!(
                "GET {} HTTP/1.1\r\nhost: {server}\r\nuser-agent: {}\r\nx-forwarded-for: {}\r\naccept-language: en\r\n\r\n",
                cue.path, cue.act.user_agent, cue.act.address
            );
            requests.write_all(request.as_bytes())?;
            let event = answer(&mut answers)?;
            let took = started.elapsed();
            mine.push(Played { event, played: cue.act.played, took });
            std::thread::sleep(pace.saturating_sub(took));
        }
    }
    done.lock().map_err(|_| anyhow::anyhow!("a player crashed"))?.append(&mut mine);
    Ok(())
}

/// Reads one answer; the id of the event if it was recorded.
fn answer(answers: &mut impl std::io::BufRead) -> anyhow::Result<Option<String>> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut event, mut length) = (None, 0);
    loop {
        line.clear();
        answers.read_line(&mut line).context("the answer ended early")?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name {
            "x-event-id" => event = Some(value.to_owned()),
            "content-length" => length = value.parse()?,
            _ => (),
        }
    }
    let mut body = vec![0; length];
    answers.read_exact(&mut body)?;
    if !matches!(status.as_str(), "200" | "302") {
        bail!("the server answered {status}");
    }
    Ok(event)
}
