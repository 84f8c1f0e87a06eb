//! Logins that the server refuses: how often they are tried, what is said of them, and what ends it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use relink::{
    Fault, Refusal,
    adapter::{Error, State},
};

use crate::{
    common::{Run, comes},
    scene::{endpoint, plain, pool_at, pool_with, terminate_all, url},
    support::{DATABASE, PASSWORD, Postgres},
};

const ASKS: &str = "host all all 127.0.0.1/32 scram-sha-256";

fn asking() -> Postgres {
    Postgres::builder().hba(ASKS).start().unwrap()
}

fn held(error: &Error, fault: Fault, says: &[&str]) {
    assert_eq!((error.refusal, error.fault()), (Refusal::Held(fault), fault));
    let text = error.to_string();
    for word in says {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
}

/// How often the server has said so.
fn said(server: &Postgres, words: &str) -> usize {
    server.log().matches(words).count()
}

#[tokio::test]
async fn a_wrong_password_is_tried_three_times_and_everybody_who_waits_is_told() {
    let server = asking();
    let scene = Run::start(&url(&server, "not-the-word", DATABASE), plain(|_| {}));
    let endpoint = endpoint(&scene);
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let pool = scene.pool().clone();
            tokio::spawn(async move { pool.get().await.map(drop) })
        })
        .collect();
    for waiter in waiters {
        let error = waiter.await.unwrap().expect_err("a wrong password");
        held(&error, Fault::Denied, &["password authentication failed", "28P01", &endpoint, "3 dials", "renew"]);
        assert!(error.waited < scene.policy().acquire_deadline.into(), "told before the deadline: {error}");
        assert_eq!(error.next_dial_in, None);
    }
    scene.is_held(Fault::Denied, 3);
    assert_eq!(scene.failed_dials(), ["28P01"; 3]);
    assert_eq!(said(&server, "password authentication failed for user \"app\""), 3);

    // Asking does not dial again, nor does a renewal that renews nothing buy more than one try.
    for _ in 0..20 {
        held(&scene.get().await.expect_err("held"), Fault::Denied, &["28P01"]);
    }
    scene.is_held(Fault::Denied, 3);
    scene.renew();
    held(&scene.get().await.expect_err("still wrong"), Fault::Denied, &["28P01"]);
    comes("one try for one renewal", async || (scene.dials() == 4).then_some(())).await;
    scene.state(State::Held(Fault::Denied)).await;
    scene.is_held(Fault::Denied, 4);

    server.psql("ALTER ROLE app PASSWORD 'new-word'").unwrap();
    scene.connector().set_password("new-word");
    scene.renew();
    drop(scene.served().await);
    assert_eq!((scene.dials(), scene.failed_dials().len()), (5, 4));
    scene.ends(&server).await;
}

#[tokio::test]
async fn a_provider_is_asked_at_each_dial_and_its_rotation_needs_no_renewal() {
    let server = asking();
    let (asked, word) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Ok(PASSWORD))));
    let provider = {
        let (asked, word) = (asked.clone(), word.clone());
        move || -> relink::postgres::Credential {
            asked.fetch_add(1, Ordering::SeqCst);
            let word = *word.lock().unwrap();
            Box::pin(async move { word.map(Vec::from).map_err(str::to_owned) })
        }
    };
    let text = url(&server, "unused", DATABASE);
    let scene = pool_with(
        &text,
        |config| config.credentials(provider),
        |policy| {
            (policy.max_size, policy.min_idle) = (1, 1);
        },
    );
    drop(scene.served().await);
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    // The vault is a moment behind the server: the old word is refused once, the new one is taken.
    server.psql("ALTER ROLE app PASSWORD 'second'").unwrap();
    drop(scene.served().await);
    terminate_all(&server);
    comes("the old word is refused", async || scene.failed_dials().contains(&"28P01".into()).then_some(())).await;
    *word.lock().unwrap() = Ok("second");
    drop(scene.served().await);
    let refused = scene.failed_dials().len();
    assert!(refused < 3, "{refused} refusals");

    // No word at all is no refusal of the server's, however long it lasts: nothing is held for it.
    *word.lock().unwrap() = Err("the vault is sealed");
    let before = said(&server, "password authentication failed");
    terminate_all(&server);
    comes("a dial without a word", async || (scene.failed_dials().len() >= refused + 4).then_some(())).await;
    assert_eq!(scene.state_now(), State::Down);
    let error = scene.get_within(std::time::Duration::ZERO).await.expect_err("no word");
    assert!(error.to_string().contains("the vault is sealed"), "{error}");
    assert_eq!(said(&server, "password authentication failed"), before);
    *word.lock().unwrap() = Ok("second");
    drop(scene.served().await);
    assert_eq!(asked.load(Ordering::SeqCst), scene.dials());
    scene.ends(&server).await;
}

#[tokio::test]
async fn an_unknown_database_holds_at_once_until_it_is_made() {
    let server = Postgres::start().unwrap();
    let scene = Run::start(&url(&server, PASSWORD, "shop"), plain(|_| {}));
    let error = scene.get().await.expect_err("no such database");
    held(&error, Fault::Misconfigured, &["database \"shop\" does not exist", "3D000", "1 dial"]);
    scene.is_held(Fault::Misconfigured, 1);
    server.psql("CREATE DATABASE shop").unwrap();
    held(&scene.get().await.expect_err("not renewed"), Fault::Misconfigured, &["3D000"]);
    scene.is_held(Fault::Misconfigured, 1);
    scene.renew();
    drop(scene.served().await);
    assert_eq!(scene.dials(), 2);
    scene.ends(&server).await;
}

#[tokio::test]
async fn a_database_dropped_under_the_pool_holds_it_and_a_renewal_brings_it_back() {
    let server = Postgres::start().unwrap();
    server.psql("CREATE DATABASE shop").unwrap();
    let scene = Run::start(&url(&server, PASSWORD, "shop"), plain(|_| {}));
    let (lent, other) = (scene.served().await, scene.served().await);
    drop(other);
    server.psql("DROP DATABASE shop WITH (FORCE)").unwrap();
    comes("both sessions are lost", async || (scene.losses().len() == 2).then_some(())).await;
    assert_eq!(scene.losses(), ["57P01"; 2]);
    held(&scene.get().await.expect_err("dropped"), Fault::Misconfigured, &["\"shop\" does not exist", "3D000"]);
    assert_eq!(scene.failed_dials(), ["3D000"]);
    scene.is_held(Fault::Misconfigured, 3);
    let error = lent.query_one("select 1", &[]).await.unwrap_err();
    let failure = error.cause();
    assert_eq!((failure.fault, failure.code.as_deref()), (Fault::Lost, Some("57P01")), "{failure}");
    drop(lent);
    server.psql("CREATE DATABASE shop").unwrap();
    scene.renew();
    drop(scene.served().await);
    scene.ends(&server).await;
}

#[tokio::test]
async fn a_role_without_login_keeps_its_sessions_and_gets_no_new_one() {
    let server = Postgres::start().unwrap();
    let scene = pool_at(&server, |policy| policy.max_size = 2);
    let kept = scene.served().await;
    server.psql("ALTER ROLE app NOLOGIN").unwrap();
    let pool = scene.pool().clone();
    let waiter = tokio::spawn(async move { pool.get_within(std::time::Duration::from_secs(3)).await.map(drop) });
    comes("three refusals", async || (scene.failed_dials().len() == 3).then_some(())).await;
    assert_eq!(scene.failed_dials(), ["28000"; 3]);
    // A session is there, so that whoever waits may still be served by it.
    assert_eq!(kept.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
    drop(kept);
    waiter.await.unwrap().expect("the session that was given back");
    terminate_all(&server);
    scene.state(State::Held(Fault::Denied)).await;
    let error = scene.get().await.expect_err("no login");
    held(&error, Fault::Denied, &["not permitted to log in", "28000"]);
    scene.is_held(Fault::Denied, 4);
    assert_eq!(scene.failed_dials().len(), 3);
    server.psql("ALTER ROLE app LOGIN").unwrap();
    scene.renew();
    drop(scene.served().await);
    scene.ends(&server).await;
}
