//! Questions to what may never answer, as a share over a dead network or a driver that hangs: each holds up a thread of
//! its own and nothing else.

use std::{io, thread, time::Duration};

use tokio::{sync::oneshot, time::timeout};

/// Asks, one question at a time.
#[derive(Debug)]
pub(super) struct Aside<T> {
    /// Its thread's name.
    name: &'static str,
    /// The answer that is still waited for.
    asked: Option<oneshot::Receiver<T>>,
}

impl<T: Send + 'static> Aside<T> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, asked: None }
    }

    /// The answer to `question`, or to an earlier one that was not answered in time: then this one is not asked.
    ///
    /// # Errors
    /// It cannot be asked, or is not answered within `patience`.
    pub(super) async fn ask(
        &mut self,
        patience: Duration,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let mut answer = match self.asked.take() {
            Some(asked) => asked,
            None => self.put(question)?,
        };
        match timeout(patience, &mut answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(io::Error::other("the thread that asked it died")),
            Err(_) => {
                self.asked = Some(answer);
                Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))
            }
        }
    }

    fn put(&self, question: impl FnOnce() -> T + Send + 'static) -> io::Result<oneshot::Receiver<T>> {
        let (tell, answer) = oneshot::channel();
        // Not one of the runtime's threads: the process would wait for it at its end.
        thread::Builder::new().name(self.name.into()).spawn(move || {
            let _ = tell.send(question());
        })?;
        Ok(answer)
    }
}

#[cfg(test)]
impl<T> Aside<T> {
    /// One whose question is answered by whoever holds the other end.
    pub(super) fn asked() -> (oneshot::Sender<T>, Self) {
        let (tell, answer) = oneshot::channel();
        (tell, Self { name: "asked", asked: Some(answer) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_is_not_asked_again_before_it_does() {
        let (tell, mut aside) = Aside::asked();
        for _ in 0..3 {
            let nobody = || -> u32 { panic!("it is asked again") };
            assert_eq!(aside.ask(PATIENCE, nobody).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        tell.send(1).unwrap();
        assert_eq!(aside.ask(PATIENCE, || 2).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn each_question_is_answered_and_one_that_dies_keeps_nobody_waiting() {
        let mut aside = Aside::new("asks");
        assert_eq!(aside.ask(PATIENCE, || 1).await.unwrap(), 1);
        assert_eq!(aside.ask(PATIENCE, || panic!("on purpose")).await.unwrap_err().kind(), io::ErrorKind::Other);
        assert_eq!(aside.ask(PATIENCE, || 2).await.unwrap(), 2);
    }
}
