//! The one way to try something again.
//!
//! A [`RetryPolicy`] is a value: how often or how long, how far apart, after which failures, and what ends the waiting. Whoever retries
//! states one and calls [`RetryPolicy::retry`]; no other place counts attempts or sleeps between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// A time by which something must be done. Copies share it, so that a try may set it anew.
#[derive(Debug, Clone)]
pub struct Deadline {
    begun: Instant,
    /// Milliseconds from then on.
    after: Arc<AtomicU64>,
}

impl Deadline {
    /// `time` from now, in whole milliseconds.
    pub fn after(time: Duration) -> Self {
        let deadline = Self { begun: Instant::now(), after: Arc::default() };
        deadline.restart(time);
        deadline
    }

    /// Sets it to `time` from now.
    pub fn restart(&self, time: Duration) {
        let after = (self.begun.elapsed() + time).as_millis();
        self.after.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn has_passed(&self) -> bool {
        self.begun.elapsed() >= Duration::from_millis(self.after.load(Ordering::Relaxed))
    }
}

/// How often something is tried.
#[derive(Debug, Clone)]
pub enum Limit {
    /// So many times after the first.
    Retries(u32),
    /// Until a failure comes when this has passed. A wait that has begun before is waited to its end.
    Until(Deadline),
}

impl Limit {
    /// Whether retry number `retry` (1 = the first) may still be made.
    fn allows(&self, retry: u32) -> bool {
        match self {
            Limit::Retries(most) => retry <= *most,
            Limit::Until(deadline) => !deadline.has_passed(),
        }
    }
}

/// What a failure says of the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// It would fail, too.
    Hopeless,
    /// It may succeed: the policy's [`Limit`] holds.
    Open,
    /// It will succeed once the other side is back: the policy's [`Outage`] holds, where it has one, or else its limit.
    Away,
}

/// How long the other side may be away, and the waits until it is back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outage {
    /// From the first failure that found it away. A wait that has begun before is waited to its end.
    pub longest: Duration,
    pub backoff: Backoff,
    /// After a try that lasted longer than this the other side was back meanwhile: another outage begins, and the policy's limit counts
    /// them.
    pub no_outage: Duration,
}

/// The waits between tries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Before the first retry; each further wait is twice as long.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// The part of a wait, from 0 to 1, of which a random share is taken off, so that those who failed together do not come back
    /// together.
    pub jitter: f64,
}

impl Backoff {
    /// The same wait each time.
    pub const fn every(wait: Duration) -> Self {
        Self { first: wait, longest: wait, jitter: 0.0 }
    }

    /// The wait before retry number `retry`, from 1.
    fn wait(&self, retry: u32) -> Duration {
        let full = self.first.saturating_mul(2_u32.saturating_pow(retry.saturating_sub(1))).min(self.longest);
        full.mul_f64(1.0 - self.jitter * rand::random::<f64>())
    }
}

/// What ends a wait before its time, and the error that the caller gets then.
pub struct Cancel<E> {
    pub token: CancellationToken,
    pub error: fn() -> E,
}

/// A failure that is about to be retried.
pub struct Waiting<'a, E> {
    /// What is retried, in words.
    pub what: &'a str,
    /// 1 = the first retry.
    pub retry: u32,
    pub wait: Duration,
    pub error: &'a E,
    /// How long the other side has been away, where that is what is waited for.
    pub away: Option<Duration>,
}

/// The failures of one thing so far.
#[derive(Default)]
struct Failures {
    all: u32,
    /// Those that the policy's limit counts.
    counted: u32,
    /// Those of the present outage, and when it began.
    away: u32,
    away_since: Option<Instant>,
}

/// How something is tried again that fails with an `E`.
pub struct RetryPolicy<E> {
    pub limit: Limit,
    pub backoff: Backoff,
    /// How long is waited for a side that is away; without it the limit alone holds.
    pub outage: Option<Outage>,
    /// What a failure says of the next try.
    pub prospect: fn(&E) -> Prospect,
    /// Nothing ends the waits of a policy without one.
    pub cancel: Option<Cancel<E>>,
    /// Says what is waited for, before each wait.
    pub say: fn(&Waiting<'_, E>),
}

impl<E> RetryPolicy<E> {
    /// Repeats what failed for a passing reason; `retries` counts how often.
    ///
    /// # Errors
    ///
    /// The first failure that is not passing, the last one when the limit is reached, or the cancellation's.
    pub async fn retry<T, F>(&self, what: &str, retries: &mut u32, mut act: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        match act().await {
            Ok(done) => Ok(done),
            Err(error) => self.retry_after(error, what, retries, act).await,
        }
    }

    /// As [`RetryPolicy::retry`], after a first try that has failed already.
    ///
    /// # Errors
    ///
    /// Those of [`RetryPolicy::retry`].
    pub async fn retry_after<T, F>(
        &self,
        mut error: E,
        what: &str,
        retries: &mut u32,
        mut act: impl FnMut() -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut failures = Failures::default();
        let mut lasted = Duration::ZERO;
        while let Some(wait) = self.next_wait(&error, lasted, &mut failures) {
            let away = failures.away_since.map(|since| since.elapsed());
            (self.say)(&Waiting { what, retry: failures.all, wait, error: &error, away });
            self.sleep(wait).await?;
            *retries += 1;
            let began = Instant::now();
            match act().await {
                Ok(done) => return Ok(done),
                Err(next) => error = next,
            }
            lasted = began.elapsed();
        }
        Err(error)
    }

    /// How long to wait after `error`, which ended a try of this length; `None` where there is no other.
    fn next_wait(&self, error: &E, lasted: Duration, failures: &mut Failures) -> Option<Duration> {
        failures.all += 1;
        let prospect = (self.prospect)(error);
        let outage = self.outage.filter(|_| prospect == Prospect::Away);
        if outage.is_none_or(|outage| lasted > outage.no_outage) {
            (failures.counted, failures.away, failures.away_since) = (failures.counted + 1, 0, None);
        }
        if prospect == Prospect::Hopeless || (failures.counted > 0 && !self.limit.allows(failures.counted)) {
            return None;
        }
        let Some(outage) = outage else { return Some(self.backoff.wait(failures.counted)) };
        let since = *failures.away_since.get_or_insert_with(Instant::now);
        failures.away += 1;
        let left = outage.longest.checked_sub(since.elapsed()).filter(|left| !left.is_zero())?;
        Some(outage.backoff.wait(failures.away).min(left))
    }

    /// Waits for the cancellation; for ever without one.
    pub async fn cancelled(&self) {
        match &self.cancel {
            Some(cancel) => cancel.token.cancelled().await,
            None => std::future::pending().await,
        }
    }

    async fn sleep(&self, wait: Duration) -> Result<(), E> {
        let slept = tokio::time::sleep(wait);
        let Some(Cancel { token, error }) = &self.cancel else {
            slept.await;
            return Ok(());
        };
        token.run_until_cancelled(slept).await.ok_or_else(error)
    }
}

impl<E> Clone for RetryPolicy<E> {
    fn clone(&self) -> Self {
        let cancel = self.cancel.as_ref().map(|cancel| Cancel { token: cancel.token.clone(), error: cancel.error });
        let Self { backoff, outage, prospect, say, .. } = *self;
        Self { limit: self.limit.clone(), backoff, outage, prospect, cancel, say }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Failure {
        Passing(u32),
        Away(u32),
        Lasting,
        Cancelled,
    }

    fn policy(limit: Limit) -> RetryPolicy<Failure> {
        RetryPolicy {
            limit,
            backoff: Backoff::every(Duration::from_millis(1)),
            outage: None,
            prospect: |error| match error {
                Failure::Passing(_) => Prospect::Open,
                Failure::Away(_) => Prospect::Away,
                Failure::Lasting | Failure::Cancelled => Prospect::Hopeless,
            },
            cancel: None,
            say: |_| {},
        }
    }

    /// Fails `failures` times for a passing reason; says how often it was tried, and what came of it.
    async fn tried(policy: &RetryPolicy<Failure>, failures: u32) -> (u32, u32, Result<(), Failure>) {
        let (mut tries, mut retries) = (0, 0);
        let result = policy
            .retry("a test", &mut retries, || {
                tries += 1;
                std::future::ready(if tries > failures { Ok(()) } else { Err(Failure::Passing(tries)) })
            })
            .await;
        (tries, retries, result)
    }

    #[test]
    fn waits_double_and_stay_bounded() {
        let backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(30), jitter: 0.5 };
        for retry in 1..40 {
            let wait = backoff.wait(retry);
            assert!(wait <= backoff.longest && wait >= backoff.first / 2, "{retry}: {wait:?}");
        }
        assert!(backoff.wait(3) > backoff.wait(1));
        assert_eq!(Backoff::every(backoff.first).wait(7), backoff.first);
    }

    #[tokio::test]
    async fn passing_failures_are_retried_as_often_as_the_limit_allows() {
        let three = policy(Limit::Retries(3));
        assert_eq!(tried(&three, 0).await, (1, 0, Ok(())));
        assert_eq!(tried(&three, 3).await, (4, 3, Ok(())));
        assert_eq!(tried(&three, 4).await, (4, 3, Err(Failure::Passing(4))));
        let passed = policy(Limit::Until(Deadline::after(Duration::ZERO)));
        assert_eq!(tried(&passed, 9).await, (1, 0, Err(Failure::Passing(1))));
        let long = policy(Limit::Until(Deadline::after(Duration::from_mins(1))));
        assert_eq!(tried(&long, 9).await, (10, 9, Ok(())));
    }

    #[tokio::test]
    async fn a_try_may_set_the_deadline_anew() {
        let deadline = Deadline::after(Duration::ZERO);
        let mut tries = 0;
        let result = policy(Limit::Until(deadline.clone()))
            .retry("a test", &mut 0, || {
                tries += 1;
                deadline.restart(Duration::from_mins(1));
                std::future::ready(if tries == 3 { Ok(()) } else { Err(Failure::Passing(tries)) })
            })
            .await;
        assert_eq!((tries, result), (3, Ok(())));
    }

    #[tokio::test]
    async fn a_side_that_is_away_is_waited_for_by_the_clock() {
        let backoff = Backoff::every(Duration::from_millis(1));
        let away = |tries: u32, failures: u32| {
            let failed = if tries == 3 { Failure::Passing(tries) } else { Failure::Away(tries) };
            std::future::ready(if tries > failures { Ok(()) } else { Err(failed) })
        };
        let tried = async |longest: Duration, no_outage: Duration, failures: u32| {
            let outage = Some(Outage { longest, backoff, no_outage });
            let policy = RetryPolicy { outage, ..policy(Limit::Retries(2)) };
            let mut tries = 0;
            let act = || {
                tries += 1;
                away(tries, failures)
            };
            let result = policy.retry("a test", &mut 0, act).await;
            (tries, result)
        };
        let long = Duration::from_mins(1);
        // Another failure between does not use up the limit.
        assert_eq!(tried(long, long, 50).await, (51, Ok(())));
        assert_eq!(tried(Duration::ZERO, long, 50).await, (1, Err(Failure::Away(1))));
        // Each try finds it there, and loses it.
        assert_eq!(tried(long, Duration::ZERO, 50).await, (4, Err(Failure::Away(4))));
        // No wait leads beyond the limit.
        let outage = Outage { longest: Duration::from_millis(20), backoff: Backoff::every(long), no_outage: long };
        let bounded = RetryPolicy { outage: Some(outage), ..policy(Limit::Retries(2)) };
        let began = Instant::now();
        let result = bounded.retry("a test", &mut 0, || std::future::ready(Err::<(), _>(Failure::Away(1)))).await;
        assert!(result.is_err() && began.elapsed() < long / 2, "{:?}", began.elapsed());
        let without = policy(Limit::Retries(2));
        let result = without.retry("a test", &mut 0, || std::future::ready(Err::<(), _>(Failure::Away(1)))).await;
        assert_eq!(result, Err(Failure::Away(1)));
    }

    #[tokio::test]
    async fn a_lasting_failure_is_not_retried() {
        let mut tries = 0;
        let result: Result<(), Failure> = policy(Limit::Retries(3))
            .retry("a test", &mut 0, || {
                tries += 1;
                std::future::ready(Err(Failure::Lasting))
            })
            .await;
        assert_eq!((tries, result), (1, Err(Failure::Lasting)));
    }

    #[tokio::test]
    async fn a_try_that_has_failed_already_is_waited_for_like_any_other() {
        let mut retries = 0;
        let policy = policy(Limit::Retries(1));
        let result = policy.retry_after(Failure::Passing(0), "a test", &mut retries, async || Err(Failure::Passing(1)));
        assert_eq!(result.await, Err::<(), _>(Failure::Passing(1)));
        assert_eq!(retries, 1);
    }

    #[tokio::test]
    async fn cancellation_ends_a_wait() {
        let token = CancellationToken::new();
        token.cancel();
        let cancelled = RetryPolicy {
            backoff: Backoff::every(Duration::from_mins(10)),
            cancel: Some(Cancel { token, error: || Failure::Cancelled }),
            ..policy(Limit::Retries(3))
        };
        assert_eq!(tried(&cancelled.clone(), 1).await, (1, 0, Err(Failure::Cancelled)));
    }
}
