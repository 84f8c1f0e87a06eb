//! The form of the seeded bugs: each has a name, and says in its documentation what is done wrong, which reports repeat.

/// An enumeration of mistakes, with all of them and what each is in words.
macro_rules! bugs {
    ($(#[$of_all:meta])* $vis:vis enum $Bug:ident { $(#[doc = $about:literal] $bug:ident,)* }) => {
        $(#[$of_all])*
        $vis enum $Bug {
            $(#[doc = $about] $bug,)*
        }

        impl $Bug {
            /// Every bug.
            pub const ALL: [Self; [$($about),*].len()] = [$(Self::$bug),*];

            /// What is done wrong.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$bug => $about.trim_ascii(),)*
                }
            }
        }
    };
}

pub(crate) use bugs;
