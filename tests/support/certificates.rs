//! Makes an authority and a server certificate for `localhost` and `127.0.0.1`.

use std::path::Path;

use super::process::{Trouble, finish, write};

const CONFIG: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
";

/// Writes `ca.crt`, `ca.key`, `server.crt` and `server.key` into `dir`. Valid for two days.
pub(crate) fn make(dir: &Path, key: &str, hash: &str) -> Result<(), Trouble> {
    write(&dir.join("openssl.cnf"), CONFIG)?;
    let hash = format!("-{hash}");
    let mut how = vec![&*hash, "-newkey", key];
    if key == "ec" {
        how.extend(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    }
    request(dir, "ca", "/CN=relink test authority", &how, &["-extensions", "authority"])?;
    request(dir, "server", "/CN=localhost", &how, &["-extensions", "server", "-CA", "ca.crt", "-CAkey", "ca.key"])
}

fn request(dir: &Path, name: &str, subject: &str, how: &[&str], more: &[&str]) -> Result<(), Trouble> {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let mut arguments: Vec<&str> = "req -x509 -nodes -days 2 -config openssl.cnf".split(' ').collect();
    arguments.extend(how);
    arguments.extend(["-subj", subject]);
    arguments.extend(["-keyout", &key, "-out", &certificate]);
    arguments.extend(more);
    finish("openssl", &arguments, dir, "").map(drop)
}
