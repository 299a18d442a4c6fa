//! Something that the control plane streams, followed across lost connections.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinSet};
use tonic::{Response, Status, Streaming};

use super::{
    connect::{Client, Service},
    exit::{Exit, Failure},
};

/// The longest wait before the next try.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The first wait; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// What comes of following.
#[derive(Debug)]
pub(crate) enum News<T> {
    /// It goes on.
    Item(T),
    /// It broke off, and is tried again after so long.
    Lost { why: String, again_in: Duration },
    /// It will not go on.
    Over(Failure),
}

/// A stream that is followed for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Follow<T> {
    news: mpsc::Receiver<News<T>>,
    _task: JoinSet<()>,
}

impl<T: Send + 'static> Follow<T> {
    /// Follows what `open` opens.
    pub(crate) fn start<F>(client: Client, open: fn(Service) -> F) -> Self
    where
        F: Future<Output = Result<Response<Streaming<T>>, Status>> + Send + 'static,
    {
        // One ahead: a reader that is slower than the fleet changes is sent what is newest next.
        let (tell, news) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(follow(client, open, tell));
        Self { news, _task: task }
    }

    /// What comes next. Can be given up at any time, and asked again.
    pub(crate) async fn next(&mut self) -> News<T> {
        let over = || News::Over(Failure::new(Exit::Failed, "the watch ended"));
        self.news.recv().await.unwrap_or_else(over)
    }
}

async fn follow<T, F>(client: Client, open: fn(Service) -> F, tell: mpsc::Sender<News<T>>)
where
    F: Future<Output = Result<Response<Streaming<T>>, Status>>,
{
    let (mut ever, mut wait) = (false, FIRST_WAIT);
    loop {
        let lost = match client.ask(Duration::ZERO, async |service| open(service).await).await {
            Err(failure) => failure,
            Ok(mut stream) => loop {
                match stream.message().await {
                    Ok(Some(item)) => {
                        (ever, wait) = (true, FIRST_WAIT);
                        if tell.send(News::Item(item)).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break Failure::new(Exit::Unreachable, format!("{} ended the watch", client.address())),
                    Err(status) => break Failure::answered(&status, client.address()),
                }
            },
        };
        // What was never there, or is refused, is not tried again: an address or a token may be wrong.
        if !ever || !lost.passes() {
            let _ = tell.send(News::Over(lost)).await;
            return;
        }
        let again_in = wait.mul_f64(0.75 + fastrand::f64() / 2.0);
        if tell.send(News::Lost { why: lost.what().to_owned(), again_in }).await.is_err() {
            return;
        }
        tokio::time::sleep(again_in).await;
        wait = (wait * 2).min(MAX_WAIT);
    }
}
