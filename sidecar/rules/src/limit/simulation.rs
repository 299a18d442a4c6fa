//! The limit before a simulated inference server, in virtual time: where it settles, and whether an overload ends.
//!
//! The server works on so many requests at once and queues the rest. It does not notice that a caller has gone away
//! while its request waits, which is what makes an overload last: it works on what nobody waits for any longer.

use std::collections::VecDeque;

use super::*;
use crate::line::Class;

const STEP: Duration = Duration::from_millis(10);
const PREFILL: Duration = Duration::from_millis(200);
const DECODE: Duration = Duration::from_secs(2);
/// How long callers wait for a first token.
const PATIENCE: Duration = Duration::from_secs(4);
/// Requests that the server works on at once.
const CAPACITY: usize = 32;
const SETTINGS: Settings = Settings { min: 8, max: 1024 };

/// One call, as the server has it.
#[derive(Clone, Copy)]
struct Call {
    began: Moment,
    tries: u32,
}

/// Whether a server's queue is known to the limit.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    Nothing,
    Queue,
}

struct World {
    /// `None`: everything is let through.
    limit: Option<Limit>,
    told: Told,
    now: Moment,
    waiting: VecDeque<Call>,
    /// When each that runs has its first token, and when it is done.
    running: Vec<(Call, Moment, bool)>,
    /// Calls that were turned away or gave up, and when they try again.
    again: Vec<(Moment, u32)>,
    in_flight: u32,
    window: Window,
    /// First tokens in time, since last asked.
    good: u32,
    shed: [u32; 2],
    due: f64,
    batch_due: f64,
}

impl World {
    fn new(limit: Option<Limit>, told: Told) -> Self {
        Self {
            limit,
            told,
            now: Moment::ZERO,
            waiting: VecDeque::new(),
            running: Vec::new(),
            again: Vec::new(),
            in_flight: 0,
            window: Window::default(),
            good: 0,
            shed: [0; 2],
            due: 0.0,
            batch_due: 0.0,
        }
    }

    /// What the server can do, in calls a second.
    fn rate() -> f64 {
        CAPACITY as f64 / (PREFILL + DECODE).as_secs_f64()
    }

    /// Goes on for `seconds` with calls at `load` times the server's rate, batch calls at `batch` times. Returns the share
    /// of the server's rate that was answered in time in the last of those seconds' ten.
    fn run(&mut self, seconds: u32, load: f64, batch: f64) -> f64 {
        for second in 0..seconds {
            if second + 10 == seconds {
                self.good = 0;
            }
            for _ in 0..100 {
                self.step(load, batch);
            }
            self.close();
        }
        f64::from(self.good) / Self::rate() / 10.0
    }

    fn step(&mut self, load: f64, batch: f64) {
        self.now = self.now + STEP;
        self.due += load * Self::rate() * STEP.as_secs_f64();
        self.batch_due += batch * Self::rate() * STEP.as_secs_f64();
        let mut arriving: Vec<(u32, Class)> = Vec::new();
        while self.due >= 1.0 {
            self.due -= 1.0;
            arriving.push((0, Class::Interactive));
        }
        while self.batch_due >= 1.0 {
            self.batch_due -= 1.0;
            arriving.push((3, Class::Batch));
        }
        let now = self.now;
        self.again.retain(|(when, tries)| {
            let due = *when <= now;
            if due {
                arriving.push((*tries, Class::Interactive));
            }
            !due
        });
        for (tries, class) in arriving {
            self.arrive(tries, class);
        }
        self.serve();
    }

    fn arrive(&mut self, tries: u32, class: Class) {
        let limit = self.limit.as_ref().map_or(u32::MAX, |limit| limit.calls(&SETTINGS));
        if self.in_flight >= class.share(limit) {
            self.shed[class as usize] += 1;
            return self.retry(tries);
        }
        self.in_flight += 1;
        self.window.peak = self.window.peak.max(self.in_flight);
        self.waiting.push_back(Call { began: self.now, tries });
    }

    /// Callers try three times, and wait a second in between.
    fn retry(&mut self, tries: u32) {
        if tries < 3 {
            self.again.push((self.now + Duration::from_secs(1), tries + 1));
        }
    }

    fn serve(&mut self) {
        let now = self.now;
        while self.running.len() < CAPACITY
            && let Some(call) = self.waiting.pop_front()
        {
            self.running.push((call, now, false));
        }
        let mut given_up = Vec::new();
        for (call, began, answered) in &mut self.running {
            if !*answered && now.since(*began) >= PREFILL {
                *answered = true;
                let waited = now.since(call.began);
                if waited <= PATIENCE {
                    self.good += 1;
                    self.window.first_tokens += 1;
                    self.window.waited += waited;
                } else {
                    given_up.push(call.tries);
                }
            }
        }
        // Its caller has gone, but the server works on it all the same.
        self.window.overloads += u32::try_from(given_up.len()).unwrap();
        given_up.into_iter().for_each(|tries| self.retry(tries));
        let before = self.running.len();
        self.running.retain(|(_, began, _)| now.since(*began) < PREFILL + DECODE);
        let ended = u32::try_from(before - self.running.len()).unwrap();
        self.in_flight -= ended;
        self.window.ended += ended;
    }

    fn close(&mut self) {
        let queue = Queue {
            running: u32::try_from(self.running.len()).unwrap(),
            waiting: u32::try_from(self.waiting.len()).unwrap(),
        };
        self.window.queue = (self.told == Told::Queue).then_some(queue);
        if let Some(limit) = &mut self.limit {
            limit.close(&SETTINGS, &self.window, self.now);
        }
        self.window = Window { peak: self.in_flight, ..Window::default() };
    }

    fn limit(&self) -> u32 {
        self.limit.as_ref().map_or(0, |limit| limit.calls(&SETTINGS))
    }
}

fn limited(told: Told) -> World {
    World::new(Some(Limit::new(&SETTINGS)), told)
}

#[test]
fn under_overload_it_settles_near_what_the_server_can_do_and_the_server_keeps_busy() {
    for told in [Told::Nothing, Told::Queue] {
        let mut world = limited(told);
        world.run(30, 0.6, 0.0);
        assert_eq!(world.limit(), 1024, "nothing is held back while nothing queues");
        let good = world.run(180, 3.0, 0.0);
        assert!((24..=64).contains(&world.limit()), "{} places before a server of {CAPACITY}", world.limit());
        assert!(good > 0.75, "only {good:.2} of what the server can do was answered in time");
    }
}

#[test]
fn once_the_trigger_is_gone_good_answers_return_though_callers_retry() {
    let mut without = World::new(None, Told::Nothing);
    without.run(30, 0.8, 0.0);
    without.run(60, 5.0, 0.0);
    let stuck = without.run(60, 0.8, 0.0);
    assert!(stuck < 0.1, "this overload ends by itself ({stuck:.2}), so it shows nothing");
    for told in [Told::Nothing, Told::Queue] {
        let mut world = limited(told);
        world.run(30, 0.8, 0.0);
        world.run(60, 5.0, 0.0);
        let good = world.run(30, 0.8, 0.0);
        assert!(good > 0.75, "thirty seconds later only {good:.2} are answered in time");
    }
}

#[test]
fn batch_calls_are_turned_away_first() {
    for told in [Told::Nothing, Told::Queue] {
        let mut world = limited(told);
        world.run(30, 0.3, 0.3);
        world.run(60, 0.6, 3.0);
        world.shed = [0; 2];
        world.run(60, 0.6, 3.0);
        let [interactive, batch] = world.shed;
        assert!(batch > 500, "{batch} of the batch calls");
        assert!(interactive * 50 < batch, "{interactive} interactive calls beside {batch} batch calls");
    }
}
