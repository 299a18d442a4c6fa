//! A wire to a server that fails as a test says, while it runs: cut, closed, frozen, slow, or deaf on one side.
//!
//! It carries TCP and understands none of what it carries; it counts it.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::redis::port;

/// How long a test waits for the wire to do as it is told.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes read at once.
const CHUNK: usize = 16 * 1024;
/// Chunks under way in one direction of one connection; beyond it, the sender must wait.
const UNDER_WAY: usize = 256;

/// A direction, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What has gone over the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections taken from clients.
    pub connections: u64,
    /// Bytes handed to the server.
    pub up: u64,
    /// Bytes handed to clients.
    pub down: u64,
}

impl Counts {
    /// What has gone over the wire since it had counted `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            connections: self.connections - earlier.connections,
            up: self.up - earlier.up,
            down: self.down - earlier.down,
        }
    }
}

/// A running wire. Dropped, it closes its port and its connections.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What is wrong with the wire now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Faults {
    refuses: bool,
    frozen: bool,
    /// Added to each chunk's way.
    delay: Duration,
    loses_up: bool,
    loses_down: bool,
}

impl Faults {
    const fn loses(&self, way: Way) -> bool {
        match way {
            Way::Up => self.loses_up,
            Way::Down => self.loses_down,
        }
    }
}

/// What all tasks of one wire know.
#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    connections: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    state: watch::Sender<State>,
}

/// What the wire has come to.
#[derive(Debug, Clone, Copy)]
struct State {
    listens: bool,
    /// Connections now.
    open: usize,
    /// How often all connections were cut.
    cuts: u64,
    /// Those of `open` that are older than the last cut.
    dying: usize,
}

impl Wire {
    /// One that passes everything between clients and `server`, on a free port.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = loop {
            // Another process may take the port between the look and the call.
            if let Ok(listener) = TcpListener::bind(port::free()).await {
                break listener;
            }
        };
        let address = listener.local_addr().unwrap();
        let faults = watch::Sender::new(Faults::default());
        let shared = Arc::new(Shared {
            server,
            connections: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            state: watch::Sender::new(State { listens: true, open: 0, cuts: 0, dying: 0 }),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, address, faults.subscribe(), Arc::clone(&shared)));
        Self { address, faults, shared, _tasks: tasks }
    }

    /// Where clients find it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all faults. Connections that lost something are cut, as what follows would make no sense; what a freeze
    /// held back goes on.
    pub async fn pass(&self) {
        self.faults.send_replace(Faults::default());
        self.until("it listens", |state| state.listens).await;
    }

    /// Resets all connections that it has taken. New ones are welcome.
    pub async fn cut(&self) {
        self.shared.state.send_modify(|state| {
            state.cuts += 1;
            state.dying = state.open;
        });
        self.until("its connections are gone", |state| state.dying == 0).await;
    }

    /// Closes the port: new connections are refused, those that are there stay.
    pub async fn refuse(&self) {
        self.faults.send_modify(|faults| faults.refuses = true);
        self.until("its port is closed", |state| !state.listens).await;
    }

    /// From now on connections are taken and nothing goes through, either way.
    pub fn freeze(&self) {
        self.faults.send_modify(|faults| faults.frozen = true);
    }

    /// From now on everything takes so much longer, each way.
    pub fn delay(&self, delay: Duration) {
        self.faults.send_modify(|faults| faults.delay = delay);
    }

    /// From now on everything that goes this way is lost, and who sent it hears nothing of that.
    pub fn lose(&self, way: Way) {
        self.faults.send_modify(|faults| match way {
            Way::Up => faults.loses_up = true,
            Way::Down => faults.loses_down = true,
        });
    }

    /// What it has carried so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Shared { connections, up, down, .. } = &*self.shared;
        Counts { connections: connections.load(Relaxed), up: up.load(Relaxed), down: down.load(Relaxed) }
    }

    /// Connections now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.state.borrow().open
    }

    /// Waits until there are so many connections.
    pub async fn until_open(&self, count: usize) {
        self.until(&format!("it has {count} connections"), |state| state.open == count).await;
    }

    async fn until(&self, what: &str, is_so: impl FnMut(&State) -> bool) {
        let mut state = self.shared.state.subscribe();
        if tokio::time::timeout(PATIENCE, state.wait_for(is_so)).await.is_err() {
            panic!("waited {PATIENCE:?} until {what}: {:?}", self.shared.state.borrow());
        }
    }
}

/// Takes connections while the wire does not refuse them.
async fn listen(first: TcpListener, address: SocketAddr, mut faults: watch::Receiver<Faults>, shared: Arc<Shared>) {
    let mut listener = Some(first);
    let mut connections = JoinSet::new();
    loop {
        let refuses = faults.borrow_and_update().refuses;
        if refuses == listener.is_some() {
            listener = if refuses { None } else { Some(TcpListener::bind(address).await.expect("its port is free")) };
            shared.state.send_modify(|state| state.listens = !refuses);
        }
        tokio::select! {
            changed = faults.changed() => if changed.is_err() { return },
            stream = accept(listener.as_ref()) => {
                shared.connections.fetch_add(1, Relaxed);
                connections.spawn(serve(stream, faults.clone(), Open::new(Arc::clone(&shared))));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return pending().await };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return stream;
        }
    }
}

/// Counted among the open connections until it is dropped.
struct Open {
    shared: Arc<Shared>,
    /// Cuts that came before it.
    cuts: u64,
}

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        let mut cuts = 0;
        shared.state.send_modify(|state| {
            state.open += 1;
            cuts = state.cuts;
        });
        Self { shared, cuts }
    }

    async fn cut(&self) {
        let _ = self.shared.state.subscribe().wait_for(|state| state.cuts > self.cuts).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.state.send_modify(|state| {
            state.open -= 1;
            state.dying -= usize::from(state.cuts > self.cuts);
        });
    }
}

/// One connection, to its end: a quiet one where both sides have closed it, or else a reset on both.
async fn serve(mut client: TcpStream, mut faults: watch::Receiver<Faults>, open: Open) {
    let connecting = async {
        thaw(&mut faults).await;
        TcpStream::connect(open.shared.server).await
    };
    let server = tokio::select! {
        () = open.cut() => None,
        server = connecting => server.ok(),
    };
    let Some(mut server) = server else {
        let _ = client.set_zero_linger();
        // Before it counts as gone.
        return drop(client);
    };
    let ended = tokio::select! {
        () = open.cut() => Err(io::ErrorKind::ConnectionReset.into()),
        ended = carry(&mut client, &mut server, &faults, &open.shared) => ended,
    };
    if ended.is_err() {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
    drop((client, server));
}

async fn carry(
    client: &mut TcpStream,
    server: &mut TcpStream,
    faults: &watch::Receiver<Faults>,
    shared: &Shared,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let lane = |way, carried| Lane { way, faults: faults.clone(), carried };
    tokio::try_join!(
        lane(Way::Up, &shared.up).pump(from_client, to_server),
        lane(Way::Down, &shared.down).pump(from_server, to_client),
    )?;
    Ok(())
}

/// One direction of one connection.
#[derive(Clone)]
struct Lane<'a> {
    way: Way,
    faults: watch::Receiver<Faults>,
    carried: &'a AtomicU64,
}

impl Lane<'_> {
    async fn pump(self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> io::Result<()> {
        let (give, take) = mpsc::channel(UNDER_WAY);
        tokio::try_join!(self.clone().load(from, give), self.unload(take, to))?;
        Ok(())
    }

    /// Reads until the sender has closed its side, and notes when each chunk is due.
    async fn load(mut self, mut from: ReadHalf<'_>, under_way: mpsc::Sender<(Instant, Bytes)>) -> io::Result<()> {
        loop {
            thaw(&mut self.faults).await;
            let mut chunk = BytesMut::with_capacity(CHUNK);
            if from.read_buf(&mut chunk).await? == 0 {
                return Ok(());
            }
            let due = Instant::now() + self.faults.borrow().delay;
            if under_way.send((due, chunk.freeze())).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Writes each chunk when it is due, and closes the other side after the last.
    async fn unload(
        mut self,
        mut under_way: mpsc::Receiver<(Instant, Bytes)>,
        mut to: WriteHalf<'_>,
    ) -> io::Result<()> {
        loop {
            let next = under_way.recv().await;
            if let Some((due, _)) = &next {
                sleep_until(*due).await;
            }
            thaw(&mut self.faults).await;
            if self.faults.borrow().loses(self.way) {
                return self.lose(under_way).await;
            }
            let Some((_, chunk)) = next else { return to.shutdown().await };
            to.write_all(&chunk).await?;
            self.carried.fetch_add(u64::try_from(chunk.len()).unwrap(), Relaxed);
        }
    }

    /// Throws away what comes, until nothing would be lost any more; then the connection, which has a hole, must end.
    async fn lose(mut self, mut under_way: mpsc::Receiver<(Instant, Bytes)>) -> io::Result<()> {
        let throwing = async {
            while under_way.recv().await.is_some() {}
            pending::<()>().await;
        };
        tokio::select! {
            _ = self.faults.wait_for(|faults| !faults.loses(self.way)) => {}
            () = throwing => {}
        }
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

/// Waits until the wire is not frozen.
async fn thaw(faults: &mut watch::Receiver<Faults>) {
    let _ = faults.wait_for(|faults| !faults.frozen).await;
}
