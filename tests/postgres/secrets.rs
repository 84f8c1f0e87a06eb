//! The password, looked for wherever relink says anything.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use relink::{Fault, adapter::State};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use crate::{
    common::{Run, comes},
    scene::{endpoint, plain, terminate_all, url},
    support::{DATABASE, Postgres},
};

/// Keeps everything that is said, at every level, by relink and by what it stands on.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<String>>);

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        writeln!(self.0.lock().unwrap(), "{}", event.metadata().target()).unwrap();
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The password as text, in hexadecimal and as the list of numbers that `Debug` makes of bytes.
fn forms(secret: &str) -> [String; 3] {
    let hexadecimal = secret.bytes().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let list = format!("{:?}", secret.as_bytes());
    [secret.to_owned(), hexadecimal, list.trim_matches(['[', ']']).to_owned()]
}

fn shows(text: &str, secret: &str) -> bool {
    let text = text.to_lowercase();
    forms(secret).iter().any(|form| text.contains(form))
}

#[tokio::test]
async fn a_password_is_shown_nowhere() {
    let (wrong, right) = ("wr0ng-s3cret", "r1ght-s3cret");
    let heard = Heard::default();
    // For all threads: the pools of other tests are heard too, which costs nothing.
    tracing::subscriber::set_global_default(heard.clone()).expect("the only subscriber of this process");
    let server = Postgres::builder().hba("host all all 127.0.0.1/32 scram-sha-256").start().unwrap();
    server.psql(&format!("ALTER ROLE app PASSWORD '{right}'")).unwrap();
    let text = url(&server, wrong, DATABASE);
    let config: relink::postgres::Config = text.parse().unwrap();
    let run = Run::start(&text, plain(|_| {}));
    let mut said = format!("{config:?} {:#?} {:?}", config, run.connector());

    let error = run.get().await.expect_err("a wrong password");
    write!(said, "{error} {error:?} {:?} {:?}", run.pool(), run.status()).unwrap();
    run.state(State::Held(Fault::Denied)).await;
    run.connector().set_password(right);
    run.renew();
    let lease = run.served().await;
    write!(said, "{lease:?} {:?} {:?}", *lease, run.connector()).unwrap();
    terminate_all(&server);
    comes("the session is lost", async || lease.death().map(drop)).await;
    let error = lease.batch_execute("select 1").await.unwrap_err();
    write!(said, "{error} {error:?} {:?} {:?}", error.driver(), lease.death()).unwrap();
    drop(lease);
    drop(run.served().await);
    let (steps, endpoint) = (run.steps(), endpoint(&run));
    write!(said, "{} {:?} {:?}", run.story(), run.events(), run.status()).unwrap();
    write!(said, "{} {steps:?}", serde_json::to_string(&steps).unwrap()).unwrap();
    run.ends(&server).await;

    let told = heard.0.lock().unwrap().clone();
    assert!(told.contains(&endpoint), "this pool was heard: {told}");
    for secret in [wrong, right] {
        assert!(!shows(&said, secret), "{said}");
        assert!(!shows(&told, secret), "{told}");
    }
    // The search finds what it looks for.
    assert!(shows(&format!("{:?}", wrong.as_bytes()), wrong) && shows("R1GHT-s3cret", right));
}
