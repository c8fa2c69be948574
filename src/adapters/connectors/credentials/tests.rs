use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A source that counts, takes its time, and fails on demand.
#[derive(Default)]
struct Source {
    asked: AtomicUsize,
    lives: Duration,
    fails: std::sync::atomic::AtomicBool,
}

impl Source {
    fn living(seconds: u64) -> Arc<Self> {
        Arc::new(Self { lives: Duration::from_secs(seconds), ..Self::default() })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl TokenSource for Source {
    async fn fetch(&self) -> Result<Fetched, CredentialError> {
        let n = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
        if self.fails.load(Ordering::SeqCst) {
            return Err(CredentialError::Refused);
        }
        Ok(Fetched { token: Zeroizing::new(format!("token-{n}")), lives: self.lives })
    }
}

async fn token(cache: &Arc<TokenCache>, source: &Arc<Source>) -> Result<String, CredentialError> {
    cache.token(source.clone()).await.map(|token| token.as_str().to_owned())
}

/// Puts a token in hand whose times are these many seconds from now.
fn hold(cache: &TokenCache, renew_in: i64, usable_for: i64) {
    let now = Instant::now();
    let at = |seconds: i64| match seconds >= 0 {
        true => now + Duration::from_secs(seconds.unsigned_abs()),
        false => now.checked_sub(Duration::from_secs(seconds.unsigned_abs())).unwrap(),
    };
    let token = Arc::new(Zeroizing::new("in-hand".to_owned()));
    *cache.held.lock().unwrap() = Some(Held { token, renew_at: at(renew_in), usable_until: at(usable_for) });
}

async fn asked_soon(source: &Source) {
    for _ in 0..200 {
        if source.asked() > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn many_at_once_ask_the_source_once() {
    let (cache, source) = (Arc::<TokenCache>::default(), Source::living(300));
    let tokens = futures_util::future::join_all((0..100).map(|_| token(&cache, &source))).await;
    assert!(tokens.iter().all(|token| token.as_deref() == Ok("token-1")));
    assert_eq!(source.asked(), 1);
    assert_eq!((token(&cache, &source).await.as_deref(), source.asked()), (Ok("token-1"), 1));
}

#[tokio::test]
async fn a_token_is_renewed_at_half_its_life_without_anybody_waiting() {
    let (cache, source) = (Arc::<TokenCache>::default(), Source::living(300));
    hold(&cache, -1, 60);
    assert_eq!(token(&cache, &source).await.unwrap(), "in-hand", "nobody waits");
    asked_soon(&source).await;
    drop(cache.flight.lock().await);
    assert_eq!((token(&cache, &source).await.unwrap().as_str(), source.asked()), ("token-1", 1));
    let lives = |seconds| {
        let (now, token) = (Instant::now(), Zeroizing::new("t".to_owned()));
        let held = held(Fetched { token, lives: Duration::from_secs(seconds) }, now).unwrap();
        (held.renew_at.duration_since(now).as_secs(), held.usable_until.duration_since(now).as_secs())
    };
    assert_eq!((lives(300), lives(15)), ((150, 290), (5, 5)));
}

#[tokio::test]
async fn a_token_is_never_handed_out_at_its_end_even_if_the_source_is_gone() {
    let (cache, source) = (Arc::<TokenCache>::default(), Source::living(60));
    source.fails.store(true, Ordering::SeqCst);
    hold(&cache, -1, 60);
    assert_eq!(token(&cache, &source).await.unwrap(), "in-hand", "it still lives");
    hold(&cache, -60, -1);
    assert_eq!(token(&cache, &source).await, Err(CredentialError::Refused));
}

#[tokio::test]
async fn after_a_failure_nobody_asks_until_the_pause_is_over_and_pauses_grow() {
    let (cache, source) = (Arc::<TokenCache>::default(), Source::living(300));
    source.fails.store(true, Ordering::SeqCst);
    let mut lengths = Vec::new();
    for failures in 1..=8 {
        for _ in 0..10 {
            assert_eq!(token(&cache, &source).await, Err(CredentialError::Refused));
        }
        assert_eq!(source.asked(), failures, "one question a pause");
        let mut pause = cache.flight.lock().await;
        lengths.push(pause.next.as_millis());
        // As if it were over.
        pause.until = pause.until.map(|(_, error)| (Instant::now(), error));
    }
    assert_eq!(lengths, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    source.fails.store(false, Ordering::SeqCst);
    assert!(token(&cache, &source).await.is_ok());
    assert!(cache.flight.lock().await.until.is_none(), "a success ends the pauses");
}

#[test]
fn what_cannot_be_sent_or_lives_too_short_is_no_token() {
    let refused = |text: &str, seconds| {
        let fetched = Fetched { token: Zeroizing::new(text.to_owned()), lives: Duration::from_secs(seconds) };
        held(fetched, Instant::now()).map(drop) == Err(CredentialError::Unusable)
    };
    assert!([0, 1, 10].into_iter().all(|seconds| refused("t", seconds)));
    assert!(["", "two words", "line\nfeed", "é"].into_iter().all(|text| refused(text, 300)));
    assert!(!refused("t", 11));
}

#[test]
fn no_debug_shows_a_secret() {
    let credentials = Credentials::fixed(AUTHORIZATION, header_value(&AUTHORIZATION, "s3cret").unwrap());
    assert!(!format!("{credentials:?}").contains("s3cret"));
    assert!(!format!("{:?}", header_value(&AUTHORIZATION, "s3cret").unwrap()).contains("s3cret"));
    let other = HeaderName::from_static("x-api-key");
    assert_eq!(header_value(&other, "t").unwrap(), "t");
    assert_eq!(header_value(&AUTHORIZATION, "t").unwrap(), "Bearer t");
}
