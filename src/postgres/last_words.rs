//! The SQLSTATE of a fatal error, read from the stream: the driver gives the error itself to the
//! statement that was in flight, and to nobody when its caller has gone.

/// Reads ErrorResponse messages (manual, 54.7 and 54.8) in pieces of any size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastWords {
    /// The type of the field being read, when it is known.
    field: Option<u8>,
    /// Bytes of the field read so far.
    length: usize,
    code: [u8; 5],
    /// By `V`, which is never translated; by `S` where there is no `V` (before 9.6, proxies).
    fatal: Option<bool>,
    fatal_by_name: bool,
}

impl LastWords {
    pub(crate) const fn new() -> Self {
        Self { field: None, length: 0, code: [0; 5], fatal: None, fatal_by_name: false }
    }

    pub(crate) fn feed(&mut self, body: &[u8]) {
        for &byte in body {
            match (self.field, byte) {
                (None, 0) => {}
                (None, field) => {
                    self.field = Some(field);
                    self.length = 0;
                }
                (Some(_), 0) => self.field = None,
                (Some(field), byte) => {
                    let fatal = matches!(byte, b'F' | b'P');
                    match (field, self.length) {
                        (b'V', 0) => self.fatal = Some(fatal),
                        (b'S', 0) => self.fatal_by_name = fatal,
                        (b'C', at) => {
                            if let Some(place) = self.code.get_mut(at) {
                                *place = byte;
                            }
                        }
                        _ => {}
                    }
                    self.length = self.length.saturating_add(1);
                }
            }
        }
    }

    /// The SQLSTATE, if the error was one that ends the session.
    pub(crate) const fn fatal(&self) -> Option<[u8; 5]> {
        let fatal = match self.fatal {
            Some(fatal) => fatal,
            None => self.fatal_by_name,
        };
        if fatal { Some(self.code) } else { None }
    }
}
