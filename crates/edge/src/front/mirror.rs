//! Shadow traffic: a copy of a request goes to another version, and nobody waits for what comes of it.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::spawn_local;

use crate::buffer::{Buffer, Outgoing, ROOM};
use crate::http1::answer::{self, Asked};
use crate::http1::body::Decoder;
use crate::upstream::{Upstream, connect};
use crate::worker::Worker;

/// Copies under way per thread; more are dropped and counted.
const MOST: usize = 64;
const CONNECT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends what `write` writes to one of `upstreams`.
pub(crate) fn copy(worker: &Rc<Worker>, upstreams: &[Rc<Upstream>], write: impl FnOnce(&mut Vec<u8>)) {
    let count = upstreams.len().max(1);
    let Some(upstream) = upstreams.get(worker.ids.next() as usize % count) else { return };
    if worker.mirrors.get() >= MOST {
        return worker.shared.mirror_dropped.inc();
    }
    worker.mirrors.set(worker.mirrors.get() + 1);
    let mut request = Outgoing::default();
    write(&mut request.bytes);
    let (worker, upstream) = (Rc::clone(worker), Rc::clone(upstream));
    spawn_local(async move {
        let counter = if send(&worker, &upstream, request).await.is_some() {
            &worker.shared.mirrored
        } else {
            &worker.shared.mirror_dropped
        };
        counter.inc();
        worker.mirrors.set(worker.mirrors.get() - 1);
    });
}

async fn send(worker: &Rc<Worker>, upstream: &Rc<Upstream>, mut request: Outgoing) -> Option<()> {
    let deadline = worker.deadlines.open();
    let mut stream = match upstream.check_out(worker.deadlines.now(), true) {
        Some(stream) => stream,
        None => connect(upstream.address, &deadline, CONNECT).await.ok()?,
    };
    deadline.set(PATIENCE);
    let asked = Asked {
        head: request.bytes.starts_with(b"HEAD "),
        upgrade: false,
        http10: false,
        keep_alive: true,
        id: b"",
        cookie: None,
    };
    let mut buffer = Buffer::new();
    let mut body: Option<(Decoder, bool)> = None;
    let keep_alive = poll_fn(|context| {
        loop {
            if !request.is_empty() {
                match request.poll_send(&mut stream, context, &mut false) {
                    Poll::Ready(Ok(())) => (),
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                    Poll::Pending => break,
                }
            }
            while !buffer.is_empty() {
                let Some((decoder, keep_alive)) = &mut body else {
                    match answer::read(buffer.bytes(), &asked, |_, _| ()) {
                        Ok(Some(head)) => {
                            buffer.consume(head.length);
                            if head.status >= 200 {
                                body = Some((Decoder::new(head.framing), head.keep_alive));
                            }
                            continue;
                        }
                        Ok(None) => break,
                        Err(_) => return Poll::Ready(None),
                    }
                };
                if decoder.is_done() {
                    return Poll::Ready(Some(*keep_alive && buffer.is_empty()));
                }
                let Ok(step) = decoder.step(buffer.bytes()) else { return Poll::Ready(None) };
                buffer.consume(step.consumed);
            }
            if let Some((decoder, keep_alive)) = &body
                && decoder.is_done()
            {
                return Poll::Ready(Some(*keep_alive));
            }
            if !buffer.make_room(4 * ROOM) {
                return Poll::Ready(None);
            }
            match buffer.poll_fill(&mut stream, context) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(
                        body.as_ref().and_then(|(body, _)| body.ends_with_connection().then_some(false)),
                    );
                }
                Poll::Ready(Ok(_)) => (),
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        if deadline.passed(context) { Poll::Ready(None) } else { Poll::Pending }
    });
    if keep_alive.await? {
        upstream.give_back(stream, worker.deadlines.now());
    }
    Some(())
}
