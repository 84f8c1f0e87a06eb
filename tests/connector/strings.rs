//! Connection strings, and what is said of those that cannot be used.

use relink::{
    Target,
    adapter::Connect,
    postgres::{Config, Postgres},
};

#[test]
fn connection_strings_are_understood_in_both_forms() {
    let url = "postgresql://u:p%40ss@h1:1,[::1]:2,h3/db?target_session_attrs=primary&sslmode=verify-full&sslrootcert=%2Ftmp%2Fr.pem";
    let pairs = "host=h1,::1,h3 port=1,2,5432 user=u password='p@ss' dbname=db target_session_attrs = primary sslmode=verify-full sslrootcert='/tmp/r.pem'";
    let (url, pairs): (Config, Config) = (url.parse().unwrap(), pairs.parse().unwrap());
    assert_eq!(format!("{url:?}"), format!("{pairs:?}"));
    let text = format!("{url:?}");
    assert!(text.contains("Primary") && text.contains("VerifyFull") && text.contains("/tmp/r.pem"), "{text}");
    assert!(!text.contains("p@ss"));
    let database: Postgres = "postgresql://u@h1,[::1]:2/db?target_session_attrs=standby".parse().unwrap();
    assert_eq!(database.endpoints(), 2);
    assert_eq!((database.endpoint(0), database.endpoint(1)), ("h1:5432".into(), "[::1]:2".into()));
    assert_eq!(database.target(), Target::Standby);
}

#[test]
fn what_is_no_escape_stays_as_written() {
    for (written, read) in [("%2fr", "/r"), ("%+f", "%+f"), ("%zz", "%zz"), ("%4", "%4"), ("%", "%"), ("%%41", "%A")] {
        let config: Config = format!("postgresql://u@h/d?sslrootcert=a{written}").parse().unwrap();
        let said = format!("{config:?}");
        assert!(said.contains(&format!("\"a{read}\"")), "{written}: {said}");
    }
}

#[test]
fn a_string_that_cannot_be_used_says_why_without_the_password() {
    for (text, says) in [
        ("host=a,b,c,d,e,f,g,h,i", "9 hosts are more than the 8"),
        ("postgresql://u:s3cret@h/d?target_session_attrs=leader", "`leader` is not known: use any, read-write"),
        (
            "host=h password=s3cret sslmod=require",
            "parameter 3 of the connection string is not known, but `sslmode` is",
        ),
        ("postgresql://u:s3cret@h/d?sslmode=always", "`always` is not known: use disable, prefer"),
        ("postgresql://u@h/d?sslmode=require;password=s3cret", "verify-full"),
        ("postgresql://u:s3@cret@h/d", "%40"),
        ("postgresql://u:s3cret@h:x/d", "`port`: use a number from 1 to 65535"),
        ("postgresql://u:s3cret/d", "`port`: use a number"),
        ("host=h keepalives_idle=soon", "`keepalives_idle`: use a whole number"),
        ("host=h sslnegotiation=later", "use postgres or direct"),
        ("mysql://u:s3cret@h/d", "begin it with postgresql://"),
        ("postgresql://u:s3cret@h/d?s3cret", "no `=`"),
        ("postgresql://u:s3cret@h/d?password=x&s3cret=1", "parameter 2"),
        ("host=h password=a s3cret", "single quotes"),
        ("host=h password=a s3cret=b", "parameter 3"),
        ("host=h password='s3cret", "closing quote"),
        ("user=u password=s3cret", "no host"),
        ("host=h load_balance_hosts=sometimes", "use disable or random"),
        ("host=h sslcert=x", "client certificates"),
        ("postgresql://u:s3cret@[::1/d", "brackets around an IPv6 address"),
        ("host=a,b port=1,0", "the port of host 2 is 0"),
        ("host=a,b port=1,2,3", "3 values of port for 2 hosts"),
    ] {
        let error = text.parse::<Config>().unwrap_err();
        let (shown, debugged) = (error.to_string(), format!("{error:?}"));
        assert!(shown.contains(says), "{text}: {shown}");
        assert!(!shown.contains("s3") && !debugged.contains("s3"), "{shown}");
    }
}

#[cfg(not(feature = "rustls"))]
#[test]
fn tls_without_the_feature_names_the_feature() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = format!("host=h sslmode={mode}").parse::<Postgres>().unwrap_err();
        assert!(error.to_string().contains("feature `rustls`"), "{error}");
    }
}
