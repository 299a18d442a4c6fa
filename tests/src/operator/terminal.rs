//! A terminal with the operator's command on it.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    sync::Arc,
    thread::JoinHandle,
};

use parking_lot::Mutex;
use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{
    process::{Child, Command},
    sync::watch,
};

use super::command::{PATIENCE, send, status};

/// A pseudoterminal and the program on it. Dropped, the program is killed.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    written: Arc<Mutex<String>>,
    news: watch::Receiver<()>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts `command` on a terminal of this size.
    pub(super) fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, size(columns, rows)).unwrap();
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        let end = || -> OwnedFd { slave.try_clone().unwrap() };
        let child = command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm").spawn().unwrap();
        let screen = File::from(master.try_clone().unwrap());
        let written = Arc::new(Mutex::new(String::new()));
        let (tell, news) = watch::channel(());
        let shelf = Arc::clone(&written);
        // It ends with the last program that has the terminal open.
        let reader = std::thread::spawn(move || read(screen, &shelf, &tell));
        Self { child, keyboard: File::from(master), written, news, reader: Some(reader) }
    }

    /// Types `text`.
    pub fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Makes the window this large, and tells the program.
    pub async fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.keyboard, size(columns, rows)).unwrap();
        // The program has no controlling terminal that would tell it.
        self.signal("WINCH").await;
    }

    /// Sends the program a signal, by its name without `SIG`.
    pub async fn signal(&self, name: &str) {
        send(self.child.id().expect("it runs"), name).await;
    }

    /// Everything written so far, escape sequences and all.
    #[must_use]
    pub fn written(&self) -> String {
        self.written.lock().clone()
    }

    /// Waits until `done` holds of everything written so far, and returns it.
    pub async fn until(&mut self, what: &str, done: impl Fn(&str) -> bool) -> String {
        let waiting = async {
            loop {
                self.news.mark_unchanged();
                let written = self.written();
                if done(&written) || self.news.changed().await.is_err() {
                    return self.written();
                }
            }
        };
        let written = tokio::time::timeout(PATIENCE, waiting).await;
        match written {
            Ok(written) if done(&written) => written,
            _ => panic!("waited for {what} in {:?}", self.written.lock()),
        }
    }

    /// Waits for the program's end, and for all that it wrote.
    pub async fn ended(&mut self) -> i32 {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        if let Some(reader) = self.reader.take() {
            tokio::task::spawn_blocking(move || reader.join()).await.unwrap().unwrap();
        }
        status(ended)
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn read(mut screen: File, shelf: &Mutex<String>, tell: &watch::Sender<()>) {
    let (mut pending, mut bytes) = (Vec::new(), [0_u8; 4096]);
    // A terminal that nobody writes to any more is an error, not an end.
    while let Ok(length @ 1..) = screen.read(&mut bytes) {
        pending.extend_from_slice(&bytes[..length]);
        // A letter may still be on its way.
        let whole = match std::str::from_utf8(&pending) {
            Ok(_) => pending.len(),
            Err(error) => error.valid_up_to(),
        };
        shelf.lock().push_str(std::str::from_utf8(&pending[..whole]).unwrap());
        pending.drain(..whole);
        let _ = tell.send(());
    }
}
