//! What the text of a statement says about transactions: nothing stored but one word.

use memchr::memchr;

/// The longest word that is compared, `ROLLBACK`.
const WORD_MAX: usize = 8;

/// How a request bears on the open transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// White space and comments only.
    Empty,
    /// `BEGIN`, `START TRANSACTION`: changes nothing that could become durable.
    Opening,
    /// `ROLLBACK`, `ABORT`: what follows may run outside the transaction.
    Leaving,
    /// `COMMIT`, `END`, `PREPARE TRANSACTION`, `CALL`, or several statements with one of these or a
    /// `ROLLBACK` among them.
    Ending,
    /// Anything else.
    Other,
}

/// Where the reader is before the first word of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    Space,
    /// One `-` was seen.
    Dash,
    /// In a comment up to the end of the line.
    Line,
    /// One `/` was seen.
    Slash,
    /// In a comment that nests; the byte before decides what `*` and `/` mean.
    Block {
        depth: u32,
        before: u8,
    },
    /// The first word has begun, or something that is no word.
    Over,
}

/// Reads one text, in pieces of any size.
///
/// Comments are skipped only before the first word, where nothing can be mistaken for them. The first
/// statement is what its first word says; of what follows a `;`, every word counts wherever it stands, in
/// a string too: the answer may be `Ending` without need, never the other way round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    lead: Lead,
    word: [u8; WORD_MAX],
    /// Of the current word; larger than [`WORD_MAX`] when it is too long to be one that matters.
    length: usize,
    first: Option<Class>,
    semicolon: bool,
    several: bool,
    ending: bool,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self {
            lead: Lead::Space,
            word: [0; WORD_MAX],
            length: 0,
            first: None,
            semicolon: false,
            several: false,
            ending: false,
        }
    }

    /// Takes the next bytes of the text.
    pub(crate) fn feed(&mut self, mut rest: &[u8]) {
        while let Some((&byte, tail)) = rest.split_first() {
            if self.first.is_some() && !self.semicolon && byte != b';' {
                // Nothing matters before the end of the first statement, and most texts have but that one.
                let end = memchr(b';', tail).and_then(|end| tail.get(end..));
                rest = end.unwrap_or_default();
                continue;
            }
            self.several |= self.semicolon && !is_space(byte);
            self.semicolon |= byte == b';';
            self.lead(byte);
            if self.lead == Lead::Over && is_word(byte) {
                rest = self.word(rest);
            } else {
                rest = tail;
                self.end_word();
            }
        }
    }

    /// Takes the word that `bytes` begin with, or goes on with. The rest.
    fn word<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let length = bytes.iter().position(|&byte| !is_word(byte)).unwrap_or(bytes.len());
        let (word, rest) = bytes.split_at_checked(length).unwrap_or_default();
        for (place, byte) in self.word.iter_mut().skip(self.length).zip(word) {
            *place = byte.to_ascii_uppercase();
        }
        self.length = self.length.saturating_add(length);
        rest
    }

    /// What the text was, when it has been read to its end.
    pub(crate) fn finish(mut self) -> Class {
        self.end_word();
        if self.several {
            return if self.ending { Class::Ending } else { Class::Other };
        }
        match (self.first, self.lead) {
            (Some(class), _) => class,
            (None, Lead::Over) => Class::Other,
            // A `-` or `/` that begins no comment is an error of the caller's, and no statement.
            (None, Lead::Space | Lead::Dash | Lead::Line | Lead::Slash | Lead::Block { .. }) => Class::Empty,
        }
    }

    fn lead(&mut self, byte: u8) {
        self.lead = match (self.lead, byte) {
            (Lead::Space, b'-') => Lead::Dash,
            (Lead::Dash, b'-') => Lead::Line,
            (Lead::Line, b'\n' | b'\r') => Lead::Space,
            (Lead::Line, _) => Lead::Line,
            (Lead::Space, b'/') => Lead::Slash,
            (Lead::Slash, b'*') => Lead::Block { depth: 1, before: 0 },
            (Lead::Block { depth: 1, before: b'*' }, b'/') => Lead::Space,
            (Lead::Block { depth, before: b'*' }, b'/') => Lead::Block { depth: depth.saturating_sub(1), before: 0 },
            (Lead::Block { depth, before: b'/' }, b'*') => Lead::Block { depth: depth.saturating_add(1), before: 0 },
            (Lead::Block { depth, .. }, byte) => Lead::Block { depth, before: byte },
            (Lead::Space, byte) if is_space(byte) || byte == b';' => Lead::Space,
            (Lead::Space | Lead::Dash | Lead::Slash | Lead::Over, _) => Lead::Over,
        };
    }

    fn end_word(&mut self) {
        if self.length == 0 {
            return;
        }
        let class = match self.word.get(..self.length) {
            Some(b"BEGIN" | b"START") => Class::Opening,
            Some(b"ROLLBACK" | b"ABORT") => Class::Leaving,
            // `PREPARE name AS` counts as well: the second word is not worth its states.
            Some(b"COMMIT" | b"END" | b"PREPARE" | b"CALL") => Class::Ending,
            Some(_) | None => Class::Other,
        };
        self.length = 0;
        self.ending |= matches!(class, Class::Leaving | Class::Ending);
        if self.lead == Lead::Over && self.first.is_none() {
            self.first = Some(class);
        }
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        let mut reader = Text::new();
        reader.feed(text.as_bytes());
        reader.finish()
    }

    #[test]
    fn the_first_word_decides_a_single_statement() {
        for (text, expected) in [
            ("", Class::Empty),
            (" ; \n", Class::Empty),
            ("-- COMMIT", Class::Empty),
            ("select 1", Class::Other),
            ("(select 1)", Class::Other),
            ("COMMIT", Class::Ending),
            (" commit;", Class::Ending),
            ("\n/* a /* b */ c */ -- d\n Commit ", Class::Ending),
            ("/**/end", Class::Ending),
            ("/*/ */CALL p()", Class::Ending),
            ("prepare transaction 'x'", Class::Ending),
            ("BEGIN", Class::Opening),
            ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE;", Class::Opening),
            ("ROLLBACK", Class::Leaving),
            ("abort", Class::Leaving),
            ("committed", Class::Other),
            ("insert into t values ('commit')", Class::Other),
            ("select case when a then b end from t;", Class::Other),
            // Errors of the caller's: called an end without need.
            ("/ COMMIT", Class::Ending),
            ("(commit)", Class::Ending),
        ] {
            assert_eq!(class(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_pieces_in_which_a_text_comes_do_not_matter() {
        for text in [
            "/* a ; b */ insert into t values ('x;y'); commit",
            "rollback work; select 1",
            "-- x\nprepare transaction 'a'",
        ] {
            for size in 1..text.len() {
                let mut reader = Text::new();
                text.as_bytes().chunks(size).for_each(|piece| reader.feed(piece));
                assert_eq!(reader.finish(), class(text), "{text:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn in_several_statements_every_word_counts() {
        for (text, expected) in [
            ("insert into t values (1); select 2", Class::Other),
            ("insert into t values (1); COMMIT", Class::Ending),
            ("insert into t values (1);COMMIT;", Class::Ending),
            ("rollback; insert into t values (1)", Class::Ending),
            ("select '; /* '; commit", Class::Ending),
            ("select 1; /* a ; b */ commit", Class::Ending),
            (";commit", Class::Ending),
            ("select 'a;b', 'end'", Class::Ending),
            // The first statement is what its first word says.
            ("select case when a then b end from t; select 2", Class::Other),
            ("/* commit */ select 1; select 2", Class::Other),
            ("begin; insert into t values (1)", Class::Other),
        ] {
            assert_eq!(class(text), expected, "{text:?}");
        }
    }
}
