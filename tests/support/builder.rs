//! How a new server is laid out: its settings, who may log in, its roles and its database.

use std::{fmt::Write as _, fs, sync::OnceLock};

use super::{
    certificates,
    postgres::{DATABASE, PASSWORD, Postgres, text},
    process::{Home, Trouble, finish, write},
};

/// Small and quick; nothing here survives a power cut, and nothing needs to.
/// `dynamic_shared_memory_type = mmap` keeps what a killed server leaves inside its directory.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 20
shared_buffers = 8MB
fsync = off
full_page_writes = off
autovacuum = off
jit = off
dynamic_shared_memory_type = mmap
max_wal_senders = 4
wal_keep_size = 64MB
wal_log_hints = on
wal_retrieve_retry_interval = 100ms
";

/// A server in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Builder {
    settings: String,
    hba: String,
    /// The key and the hash of the signature of its certificate.
    tls: Option<(&'static str, &'static str)>,
    language: Option<String>,
}

impl Builder {
    /// A line of `postgresql.conf`. The value is quoted here.
    pub(crate) fn setting(mut self, name: &str, value: &str) -> Self {
        let _ = writeln!(self.settings, "{name} = '{}'", value.replace('\'', "''"));
        self
    }

    /// A line of `pg_hba.conf`; the first replaces the default, which trusts everybody from 127.0.0.1.
    pub(crate) fn hba(mut self, line: &str) -> Self {
        let _ = writeln!(self.hba, "{line}");
        self
    }

    /// TLS with a certificate for `localhost` and `127.0.0.1` from an authority of its own: [`Postgres::ca`].
    pub(crate) fn tls(self) -> Self {
        self.tls_signed("ec", "sha256")
    }

    /// The same with a key (`ec` or `rsa:2048`) and the hash that the signature is made with.
    pub(crate) fn tls_signed(mut self, key: &'static str, hash: &'static str) -> Self {
        self.tls = Some((key, hash));
        self.setting("ssl", "on").setting("ssl_cert_file", "server.crt").setting("ssl_key_file", "server.key")
    }

    /// The language of the server's messages, such as `zh_CN`. Its locale is made for this server alone.
    pub(crate) fn language(mut self, name: &str) -> Self {
        self.language = Some(name.to_owned());
        self.setting("lc_messages", &format!("{name}.UTF-8"))
    }

    pub(crate) fn start(self) -> Result<Postgres, Trouble> {
        let server = Postgres::prepare()?;
        let (template, data) = (template()?.path().join("data"), server.data());
        finish("cp", &["-a", "--reflink=auto", text(&template)?, text(&data)?], server.socket_dir(), "")?;
        let conf = data.join("postgresql.conf");
        write(&conf, &format!("{}{SETTINGS}{}", fs::read_to_string(&conf)?, self.settings))?;
        server.write_hba(&self.hba)?;
        if let Some((key, hash)) = self.tls {
            certificates::make(&data, key, hash)?;
        }
        if let Some(language) = &self.language {
            locale(&server, language)?;
        }
        server.start_somewhere()?;
        Ok(server)
    }
}

fn locale(server: &Postgres, language: &str) -> Result<(), Trouble> {
    let made = server.locales()?;
    let place = made.join(format!("{language}.UTF-8"));
    finish("localedef", &["-i", language, "-f", "UTF-8", text(&place)?], server.socket_dir(), "").map(drop).map_err(
        |trouble| {
            Trouble::new(format!("no locale {language}.UTF-8 for the server: apt-get install locales: {trouble}"))
        },
    )
}

/// A data directory with the roles and the database, made once in this process and copied for each server.
fn template() -> Result<&'static Home, Trouble> {
    static TEMPLATE: OnceLock<Result<Home, String>> = OnceLock::new();
    let made = TEMPLATE.get_or_init(|| make_template().map_err(|trouble| trouble.to_string()));
    made.as_ref().map_err(Trouble::new)
}

fn make_template() -> Result<Home, Trouble> {
    let home = Home::new("template")?;
    let initdb = "-D data -U postgres -A trust -E UTF8 --no-locale --wal-segsize=1 --no-sync";
    finish("initdb", &initdb.split(' ').collect::<Vec<_>>(), home.path(), "")?;
    // A single-user server takes one statement a line.
    let roles = format!(
        "ALTER ROLE postgres PASSWORD '{PASSWORD}'\nCREATE ROLE app LOGIN PASSWORD '{PASSWORD}'\n\
         CREATE DATABASE {DATABASE} OWNER app\n"
    );
    finish(
        "postgres",
        &["--single", "-D", "data", "-F", "-j", "postgres"],
        home.path(),
        &roles.replace('\n', ";\n\n"),
    )?;
    Ok(home)
}
