//! The words of a connection string that the driver does not know, taken out of it before the driver reads the rest.

use super::config::ConfigError;
use crate::nearest;

/// What was taken, in the order written; the last of a name wins, as in libpq.
#[derive(Clone, Default)]
pub(crate) struct Words {
    pub(crate) target: Option<String>,
    pub(crate) sslmode: Option<String>,
    pub(crate) sslrootcert: Option<String>,
    pub(crate) load_balance: Option<String>,
}

/// Every name that the driver takes; any other is refused here, so that the driver never echoes a
/// piece of a badly quoted password as an unknown name.
const KNOWN: [&str; 16] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "sslnegotiation",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "channel_binding",
];

/// The names that are taken out.
const OURS: [&str; 4] = ["target_session_attrs", "sslmode", "sslrootcert", "load_balance_hosts"];

impl Words {
    /// Splits `text` into what is ours and a string for the driver.
    pub(crate) fn split(text: &str) -> Result<(Self, String), ConfigError> {
        if let Some(scheme) = ["postgres://", "postgresql://"].into_iter().find(|scheme| text.starts_with(scheme)) {
            return Self::split_url(text, scheme.len());
        }
        let is_url =
            text.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric()));
        if is_url {
            return Err(ConfigError::new(
                "the url is not one of PostgreSQL: begin it with postgresql:// or postgres://",
            ));
        }
        Self::split_pairs(text)
    }

    fn split_url(text: &str, scheme: usize) -> Result<(Self, String), ConfigError> {
        // The driver looks for `@` first and for `?` behind it; so do we.
        let credentials = text.find('@').map_or(scheme, |at| at + 1);
        let rest = text.get(credentials..).unwrap_or_default();
        let Some(mark) = rest.find('?') else {
            check_authority(rest)?;
            return Ok((Self::default(), text.to_owned()));
        };
        let (authority, query) = rest.split_at(mark);
        check_authority(authority)?;
        let mut words = Self::default();
        let mut kept = Vec::new();
        for (index, pair) in query.trim_start_matches('?').split('&').filter(|pair| !pair.is_empty()).enumerate() {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                ConfigError::new(format!("parameter {} of the url has no `=`: write name=value", index + 1))
            })?;
            if !words.take(&decode(name), &decode(value), index)? {
                kept.push(pair);
            }
        }
        let head = text.get(..credentials + mark).unwrap_or_default();
        Ok((words, if kept.is_empty() { head.to_owned() } else { format!("{head}?{}", kept.join("&")) }))
    }

    fn split_pairs(text: &str) -> Result<(Self, String), ConfigError> {
        let mut words = Self::default();
        let mut kept = String::new();
        let mut rest = text.trim_start();
        let mut index = 0;
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').filter(|(name, _)| !name.trim_end().contains(char::is_whitespace)).ok_or_else(|| {
                ConfigError::new(format!(
                    "parameter {} of the connection string has no `=`: write name=value, and a value with spaces in single quotes",
                    index + 1
                ))
            })?;
            let (value, after) = value(after.trim_start(), index)?;
            if !words.take(name.trim_end(), &value, index)? {
                let escaped = value.replace('\\', "\\\\").replace('\'', "\\'");
                kept.push_str(&format!("{}='{escaped}' ", name.trim_end()));
            }
            rest = after.trim_start();
            index += 1;
        }
        Ok((words, kept))
    }

    /// Whether the word is ours.
    fn take(&mut self, name: &str, value: &str, index: usize) -> Result<bool, ConfigError> {
        let place = match name {
            "target_session_attrs" => &mut self.target,
            "sslmode" => &mut self.sslmode,
            "sslrootcert" => &mut self.sslrootcert,
            "load_balance_hosts" => &mut self.load_balance,
            "sslcert" | "sslkey" => {
                return Err(ConfigError::new(format!(
                    "`{name}` is not supported: client certificates cannot be used yet; remove it"
                )));
            }
            known if KNOWN.contains(&known) => return Ok(false),
            _ => {
                let near = nearest(name, &[&KNOWN[..], &OURS[..]].concat());
                let near = near.map(|near| format!(", but `{near}` is")).unwrap_or_default();
                return Err(ConfigError::new(format!(
                    "the name of parameter {} of the connection string is not known{near}: correct it; a value with spaces needs single quotes, and in a url `&` is written %26",
                    index + 1
                )));
            }
        };
        *place = Some(value.to_owned());
        Ok(true)
    }
}

/// The commonest mistake, a reserved character in a password, would put its tail into a host name.
fn check_authority(authority: &str) -> Result<(), ConfigError> {
    let hosts = authority.split('/').next().unwrap_or_default();
    if hosts.contains(['@', '#']) || authority.contains('@') {
        return Err(ConfigError::new(
            "the host part of the url holds a character that no host has: in user and password write `@` as %40, `/` as %2F, `?` as %3F, `#` as %23",
        ));
    }
    Ok(())
}

/// One value and the text behind it, by the quoting rules of libpq (manual, 34.1.1.1).
fn value(text: &str, index: usize) -> Result<(String, &str), ConfigError> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut letters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            letter if !quoted && letter.is_whitespace() => return Ok((value, text.get(at..).unwrap_or_default())),
            letter => value.push(letter),
        }
    }
    if quoted {
        return Err(ConfigError::new(format!(
            "the value of parameter {} of the connection string has no closing quote: write `'` in it as \\'",
            index + 1
        )));
    }
    Ok((value, ""))
}

/// Percent-decoding; what is not a valid escape stays as written.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.first_chunk::<2>().filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let escaped = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
