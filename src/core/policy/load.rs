//! The doors of a policy from outside: text, a file, the environment.

use std::ffi::OsStr;
use std::format;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use super::raw::{self, Found, Raw};
use super::{Assume, Broken, Policy, PolicyError, file};

/// Each variable that is a setting begins with this.
const PREFIX: &str = "RELINK_";
/// Names a policy file; no setting itself.
const POLICY: &str = "RELINK_POLICY";

impl Policy {
    /// The policy that `text`, in TOML, says, over the defaults.
    ///
    /// ```
    /// use relink::{Policy, Span};
    /// let policy = Policy::from_toml(r#"
    ///     w0 = "250ms"
    ///     kd = 0.05
    ///     idle_max = "never"
    ///     backoff = { kind = "full_jitter", base = "100ms", cap = "30s" }
    ///     [assume]
    ///     clients = 5000
    /// "#)?;
    /// assert_eq!(policy.w0, Span::from_millis(250));
    /// assert_eq!(policy.idle_max, None);
    ///
    /// let error = Policy::from_toml("max_sise = 8").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "policy text: policy refused: line 1: max_sise: is not a setting; \
    ///      write max_size, the nearest name there is, or remove it",
    /// );
    /// # Ok::<(), relink::policy::LoadError>(())
    /// ```
    ///
    /// # Errors
    /// When it is not TOML, names a setting that there is not, or a value has not the setting's form.
    /// Whether the values go together is for [`Policy::check`] to say, after the last layer.
    pub fn from_toml(text: &str) -> Result<Self, LoadError> {
        file::read(text, "policy text")
    }

    /// The policy in the file at `path`, over the defaults.
    ///
    /// ```no_run
    /// use relink::Policy;
    /// let policy = Policy::from_file("relink.toml")?.with_env(std::env::vars_os())?.check()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When it cannot be read, and as [`Policy::from_toml`]; the error names the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| LoadError::Read { path: path.into(), error })?;
        file::read(&text, &path.display().to_string())
    }

    /// The policy that a process is started with: the defaults, then the file that `RELINK_POLICY`
    /// names, if any, then the other `RELINK_` variables. Code comes after, by [`Policy::into_builder`].
    ///
    /// ```
    /// use relink::Policy;
    /// let policy = Policy::from_env(std::env::vars_os())?.into_builder().max_size(4).check()?;
    /// assert_eq!(policy.max_size, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Policy::from_file`] and [`Policy::with_env`].
    pub fn from_env<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, LoadError> {
        let vars: Vec<(K, V)> = vars.into_iter().collect();
        let file = vars.iter().find(|(name, _)| name.as_ref() == POLICY).map(|(_, path)| Path::new(path.as_ref()));
        let policy = file.map_or_else(|| Ok(Self::default()), Self::from_file)?;
        policy.with_env(vars)
    }

    /// This policy with the `RELINK_` variables among `vars` over it; `RELINK_POLICY` is left to
    /// [`Policy::from_env`]. The name is the setting's in upper case, with `ASSUME_` before those of `[assume]`;
    /// fault rows are written in files only.
    ///
    /// ```
    /// use relink::{Policy, Span};
    /// let policy = Policy::default().with_env([
    ///     ("RELINK_MAX_SIZE", "8"),
    ///     ("RELINK_W0", "250ms"),
    ///     ("RELINK_ASSUME_CLIENTS", "5000"),
    ///     ("PATH", "/bin"),
    /// ])?;
    /// assert_eq!((policy.max_size, policy.w0, policy.assume.clients), (8, Span::from_millis(250), Some(5000)));
    ///
    /// let error = Policy::default().with_env([("RELINK_MAX_SISE", "8")]).unwrap_err();
    /// assert!(error.to_string().contains("write RELINK_MAX_SIZE, the nearest name there is"));
    /// # Ok::<(), relink::policy::LoadError>(())
    /// ```
    ///
    /// # Errors
    /// Every variable that begins with `RELINK_` and is no setting, or has not the setting's form.
    pub fn with_env<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, LoadError> {
        let mut wrong = Vec::new();
        for (name, value) in vars {
            let name = name.as_ref().to_string_lossy();
            if name.starts_with(PREFIX) && name != POLICY {
                wrong.extend(self.set_from_env(&name, &value.as_ref().to_string_lossy()).err());
            }
        }
        // Variables come in no order of their own.
        wrong.sort_by(|a, b| a.field.cmp(&b.field));
        LoadError::unless_empty("environment", wrong)?;
        Ok(self)
    }

    fn set_from_env(&mut self, name: &str, text: &str) -> Result<(), Broken> {
        let key = name.strip_prefix(PREFIX).unwrap_or(name);
        let is_upper = !key.contains(|c: char| c.is_ascii_lowercase());
        let key = key.to_ascii_lowercase();
        let raw = || Raw { name: name.to_string(), found: Found::Env { text } };
        if key == "fault" {
            return Err(raw::broken(name, "fault rows are written in files only", "name the file in RELINK_POLICY"));
        }
        let known = match key.strip_prefix("assume_") {
            _ if !is_upper => None,
            Some(fact) => self.assume.set(fact, raw()),
            None => self.set(&key, raw()),
        };
        known.unwrap_or_else(|| {
            let facts = Assume::KEYS.iter().map(|fact| format!("ASSUME_{}", fact.to_ascii_uppercase()));
            let all: Vec<String> = Self::KEYS.iter().map(|key| key.to_ascii_uppercase()).chain(facts).collect();
            Err(raw::unknown(name, &all.iter().map(String::as_str).collect::<Vec<_>>(), PREFIX))
        })
    }
}

impl Assume {
    /// The names of all facts.
    pub(super) const KEYS: [&'static str; 4] = ["clients", "slots", "capacity_per_s", "reject_cost"];

    /// Reads the fact `key`; `None` when there is none of that name.
    pub(super) fn set(&mut self, key: &str, raw: Raw<'_>) -> Option<Result<(), Broken>> {
        Some(match key {
            "clients" => raw.read_given().map(|fact| self.clients = fact),
            "slots" => raw.read_given().map(|fact| self.slots = fact),
            "capacity_per_s" => raw.read_given().map(|fact| self.capacity_per_s = fact),
            "reject_cost" => raw.read_given().map(|fact| self.reject_cost = fact),
            _ => return None,
        })
    }
}

/// A policy could not be taken from where it was to come from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: cannot be read as a policy: {error}; name a text file in TOML that this process may read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The text is not TOML.
    #[error("{origin}: line {line}: not TOML: {message}")]
    Syntax {
        /// The file's name, or what else it was.
        origin: String,
        /// Counted from 1.
        line: usize,
        /// What the parser says; never the text itself, which may hold a secret.
        message: String,
    },
    /// Settings that there are not, or values that have not their form.
    #[error("{origin}: {error}")]
    Refused {
        /// The file's name, or what else it was.
        origin: String,
        /// Every one of them.
        error: PolicyError,
    },
}

impl LoadError {
    pub(super) fn unless_empty(origin: &str, wrong: Vec<Broken>) -> Result<(), Self> {
        PolicyError::unless_empty(wrong).map_err(|error| Self::Refused { origin: origin.to_string(), error })
    }
}
