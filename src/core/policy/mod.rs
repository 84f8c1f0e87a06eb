//! Every tunable number: what it means, its default and where that comes from, what is allowed; checked once, then fixed.
//!
//! A [`Policy`] is put together in layers, each over the one before: the defaults, a TOML file, the
//! environment, code. [`Policy::check`] then holds it against every rule at once and gives a [`Checked`]
//! policy, the only form that the machines take.
//!
//! ```
//! use relink::{Policy, Span};
//! let policy = Policy::builder().max_size(8).w0(Span::from_millis(250)).check()?;
//! assert_eq!(policy.max_size, 8);
//!
//! let refused = Policy::builder().w0(Span::ZERO).check().unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     r#"policy refused: w0 = "0": must be from "1ms" to "1h"; write w0 = "500ms", the default"#,
//! );
//! # Ok::<(), relink::policy::PolicyError>(())
//! ```

mod checked;
mod choices;
mod error;
#[cfg(feature = "serde")]
mod file;
#[cfg(feature = "serde")]
mod load;
mod ratio;
#[cfg(feature = "serde")]
mod raw;
mod rules;
#[cfg(feature = "serde")]
mod setting;
mod table;
mod value;

pub use checked::{Checked, Warning};
pub use choices::{Assume, Backoff, OnDown, Validate};
pub use error::{Broken, PolicyError};
#[cfg(feature = "serde")]
pub use load::LoadError;
pub use ratio::{Ratio, RatioError};
pub use table::{Builder, Policy, SESSIONS_MAX};

pub use super::rule::Rule;
