use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use signalbox_e2e::process;
use signalbox_release::driver::{Driver as _, Launch, Role, Sandboxing, State};

use crate::rig::{House, LONG, ask};

/// Somebody on this machine to whom staging must not get, and who counts who came.
struct Outside {
    tcp: SocketAddr,
    udp: UdpSocket,
    came: std::sync::Arc<AtomicU32>,
}

impl Outside {
    fn new() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let came = std::sync::Arc::new(AtomicU32::new(0));
        let counted = std::sync::Arc::clone(&came);
        let tcp = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr()?.port()));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(std::io::Result::ok) {
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"welcome");
            }
        });
        Ok(Self { tcp, udp: UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?, came })
    }

    /// Everything by which the machine is reached: loopback, and its own address where it has one.
    fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let port = self.tcp.port();
        let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr());
        let own: Option<IpAddr> = own.ok().map(|address| address.ip());
        Ok(std::iter::once(IpAddr::V4(Ipv4Addr::LOCALHOST)).chain(own).map(|ip| SocketAddr::new(ip, port)).collect())
    }
}

#[test]
fn nothing_leaves_a_sandbox_and_requests_reach_it() -> Result<()> {
    let house = House::new()?;
    let abilities = house.runtime.block_on(house.driver.abilities())?;
    ensure!(
        matches!(&abilities.sandbox, Sandboxing::Possible { .. }),
        "this test makes network namespaces: run it as root on a system that permits them: {abilities:?}"
    );
    let outside = Outside::new()?;
    let service = house.service(&[], "")?;
    // The tries themselves are sound: without a sandbox each gets out.
    let open = house.start(&service)?;
    house.until_state(&open.id, State::Healthy)?;
    let udp = format!("127.0.0.1:{}", outside.udp.local_addr()?.port());
    for address in outside.addresses()? {
        ensure!(ask(open.address, &format!("/tcp?{address}"))? == "reached welcome", "{address}");
    }
    ensure!(ask(open.address, &format!("/udp?{udp}"))? == "sent");
    outside.udp.set_read_timeout(Some(LONG))?;
    ensure!(outside.udp.recv(&mut [0; 8])? == 3, "the datagram arrives");
    let came = outside.came.load(Ordering::SeqCst);
    // And in it none does.
    let closed = house.start_sandboxed(&service)?;
    house.until_state(&closed.id, State::Healthy)?;
    for address in outside.addresses()? {
        let tried = ask(closed.address, &format!("/tcp?{address}"))?;
        ensure!(tried.starts_with("not reached"), "{address}: {tried}");
    }
    ask(closed.address, &format!("/udp?{udp}"))?;
    ask(closed.address, "/udp?192.0.2.1:53")?;
    outside.udp.set_read_timeout(Some(Duration::from_millis(300)))?;
    ensure!(outside.udp.recv(&mut [0; 8]).is_err(), "no datagram arrives");
    ensure!(outside.came.load(Ordering::SeqCst) == came, "nobody came");
    let interfaces = ask(closed.address, "/interfaces")?;
    let names: Vec<&str> =
        interfaces.lines().skip(2).filter_map(|line| line.trim().split_once(':')).map(|(name, _)| name).collect();
    ensure!(names == ["lo"], "{interfaces}");
    // Nor may root inside go back to where the others are.
    for escape in ["nsenter+--net=/proc/1/ns/net+true", "ip+link+add+out+type+veth+peer+name+in+netns+1"] {
        let tried = ask(closed.address, &format!("/run?{escape}"))?;
        ensure!(!tried.starts_with("exit status: 0"), "{escape}: {tried}");
    }
    let environment = ask(closed.address, "/environment")?;
    for mark in ["\"SIGNALBOX_INSTANCE_ROLE\"=\"staging\"", "\"SIGNALBOX_INSTANCE_SANDBOX\"=\"no-network\""] {
        ensure!(environment.contains(mark), "{environment}");
    }
    for instance in [open, closed] {
        house.stop(&instance.id, LONG)?;
    }
    Ok(())
}

#[test]
fn a_sandboxed_service_is_restarted_in_its_sandbox_and_the_sandbox_too() -> Result<()> {
    let house = House::new()?;
    let instance = house.start_sandboxed(&house.service(&[], "")?)?;
    house.until_state(&instance.id, State::Healthy)?;
    let (shim, service) = house.pids(&instance.id)?;
    let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net"));
    let relay = process::children(shim).into_iter().find(|pid| *pid != service).context("no relay")?;
    let own = namespace(std::process::id())?;
    ensure!(namespace(service)? == namespace(relay)? && namespace(service)? != own && namespace(shim)? == own);
    process::signal(service, Signal::KILL);
    let healthy = |restarts| {
        house.until(&instance.id, "not restarted", |instance| {
            instance.restarts == restarts && instance.state == State::Healthy
        })
    };
    healthy(1)?;
    ensure!(namespace(house.pids(&instance.id)?.1)? == namespace(relay)?, "the same sandbox");
    process::signal(relay, Signal::KILL);
    let again = healthy(2)?;
    ensure!(again.last_exit.is_some_and(|exit| exit.said.starts_with("its sandbox ended")));
    ensure!(namespace(house.pids(&instance.id)?.1)? != own, "a new one");
    house.stop(&instance.id, LONG)?;
    for pid in [shim, relay, service] {
        ensure!(!process::lives(pid), "{pid} is left");
    }
    Ok(())
}

/// What the driver says that it can, it does; what it says that it cannot, it refuses.
#[test]
fn a_sandbox_is_kept_or_refused() -> Result<()> {
    let house = House::new()?;
    let service = house.service(&[], "")?;
    match house.runtime.block_on(house.driver.abilities())?.sandbox {
        Sandboxing::Possible { .. } => {
            let instance = house.start_sandboxed(&service)?;
            house.until_state(&instance.id, State::Healthy)?;
            ensure!(ask(instance.address, "/interfaces")?.lines().count() == 3, "two lines of titles, and loopback");
            house.stop(&instance.id, LONG)?;
            println!("kept");
        }
        Sandboxing::Impossible { why } => {
            let refused = house.start_sandboxed(&service).err().context("it was started without a sandbox")?;
            ensure!(refused.to_string().contains(&why) && refused.to_string().contains("\"none\""), "{refused}");
            ensure!(house.list()?.is_empty(), "nothing was started");
            // Only what the manifest says goes on without one.
            let launch = house.launch(&service)?;
            let instance = house.start_as(&Launch { role: Role::Staging, ..launch })?;
            house.until_state(&instance.id, State::Healthy)?;
            house.stop(&instance.id, LONG)?;
            println!("refused: {why}");
        }
    }
    Ok(())
}

/// The test before this one, where no namespace may be made.
#[test]
fn where_no_namespaces_are_permitted_the_start_is_refused() -> Result<()> {
    let test = std::env::current_exe()?;
    let script =
        "echo 0 > /proc/sys/user/max_user_namespaces && echo 0 > /proc/sys/user/max_net_namespaces && exec \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", script, "sh"]).arg(test);
    command.args(["--exact", "sandbox::a_sandbox_is_kept_or_refused", "--nocapture"]);
    let said = process::output(&mut command)?;
    ensure!(said.contains("refused: ") && !said.lines().any(|line| line.ends_with("kept")), "{said}");
    Ok(())
}
