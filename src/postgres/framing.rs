//! What both directions of a session have shown: requests and answers counted, and whether a lost answer would leave doubt.
//!
//! Messages and their order are those of the PostgreSQL manual, chapter "Frontend/Backend Protocol",
//! version 3.0.

use std::mem;

use memchr::memchr;

use super::{
    last_words::LastWords,
    messages::{Piece, Reader},
    statement::{Class, Text},
};

/// The transaction status of the last ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// No transaction is open.
    Idle,
    /// A transaction is open.
    Open,
    /// A transaction has failed and is not rolled back yet.
    Failed,
}

/// Everything that the stream has shown.
///
/// Requests are numbered from 1 in the order sent; an answer answers the oldest. "Up to" fields hold
/// the number of the last request of a kind, so that a kind is in flight while its number is larger
/// than `done`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framing {
    frontend: Reader,
    backend: Reader,
    /// Requests that end in a ReadyForQuery (Query, Sync, FunctionCall, the start-up), sent in full.
    sent: u64,
    /// ReadyForQuery received.
    done: u64,
    /// Extended messages were sent since the last Sync: they belong to request `sent + 1`.
    batch: bool,
    /// The last request that makes the server do something. Close and Sync alone do not.
    busy_to: u64,
    /// The last request that may leave something durable.
    durable_to: u64,
    /// The last request that may end a transaction.
    ending_to: u64,
    /// The last request that may leave the transaction open by `status`.
    leaving_to: u64,
    /// Some Parse carried a text that may end a transaction: which Execute runs it is not tracked.
    parsed_ending: bool,
    /// The request being answered is an Execute: a BindComplete came.
    bound: bool,
    /// The COPY being fed came by the extended protocol.
    copy_extended: bool,
    /// The server waits for the data of a COPY, not the client for an answer.
    feeding: bool,
    /// Zero-terminated strings to skip before the text of the current message.
    names_left: u8,
    text_over: bool,
    text: Text,
    status: Status,
    /// The byte of the ReadyForQuery being read.
    status_byte: u8,
    /// BackendKeyData, as far as it has been read: process id, secret.
    key: [u8; 4],
    key_have: usize,
    /// The last error of the server's since the last ReadyForQuery.
    last_words: LastWords,
    failed_inside: bool,
    /// A parameter was reported after the start-up.
    turned: bool,
    lost: bool,
}

/// Whether a message of the server's is none of BindComplete, ErrorResponse, CopyInResponse, BackendKeyData, ParameterStatus
/// and ReadyForQuery: rows and their company.
const fn tells_nothing(tag: u8) -> bool {
    !matches!(tag, b'2' | b'E' | b'G' | b'K' | b'S' | b'Z')
}

impl Framing {
    pub(crate) const fn new() -> Self {
        Self {
            frontend: Reader::untagged_first(),
            backend: Reader::tagged(),
            sent: 0,
            done: 0,
            batch: false,
            busy_to: 0,
            durable_to: 0,
            ending_to: 0,
            leaving_to: 0,
            parsed_ending: false,
            bound: false,
            copy_extended: false,
            feeding: false,
            names_left: 0,
            text_over: false,
            text: Text::new(),
            status: Status::Idle,
            status_byte: 0,
            key: [0; 4],
            key_have: 0,
            last_words: LastWords::new(),
            failed_inside: false,
            turned: false,
            lost: false,
        }
    }

    /// Takes bytes that went to the server.
    pub(crate) fn outgoing(&mut self, mut bytes: &[u8]) {
        while !self.lost {
            // CopyData.
            self.frontend.pass_over(&mut bytes, |tag| tag == b'd');
            match self.frontend.next(&mut bytes) {
                None => return,
                Some(Piece::Begin(tag)) => self.request_begins(tag),
                Some(Piece::Body(tag, body)) => self.request_body(tag, body),
                Some(Piece::End(tag)) => self.request_ends(tag),
                Some(Piece::Broken) => self.lost = true,
            }
        }
    }

    /// Takes bytes that came from the server.
    pub(crate) fn incoming(&mut self, mut bytes: &[u8]) {
        while !self.lost {
            self.backend.pass_over(&mut bytes, tells_nothing);
            match self.backend.next(&mut bytes) {
                None => return,
                Some(Piece::Begin(tag)) => self.answer_begins(tag),
                Some(Piece::Body(tag, body)) => self.answer_body(tag, body),
                Some(Piece::End(tag)) => self.answer_ends(tag),
                Some(Piece::Broken) => self.lost = true,
            }
        }
    }

    /// The boundaries of messages are lost: nothing more can be told.
    pub(crate) const fn lost(&self) -> bool {
        self.lost
    }

    /// Something that the server has to do is in flight.
    pub(crate) const fn busy(&self) -> bool {
        self.in_flight() && self.busy_to > self.done
    }

    /// The client has nothing more to send and waits for an answer.
    pub(crate) const fn waiting(&self) -> bool {
        self.busy() && !self.feeding
    }

    /// Something whose effect may be durable is in flight.
    pub(crate) const fn durable(&self) -> bool {
        self.in_flight() && self.durable_to > self.done
    }

    pub(crate) const fn status(&self) -> Status {
        self.status
    }

    /// ReadyForQuery received so far.
    pub(crate) const fn answered(&self) -> u64 {
        self.done
    }

    /// The SQLSTATE of the error that ends the session, when the server has sent one.
    pub(crate) const fn fatal(&self) -> Option<[u8; 5]> {
        self.last_words.fatal()
    }

    /// Whether the last error came in a transaction that an earlier request had begun, and no request had left by then.
    pub(crate) const fn failed_inside(&self) -> bool {
        self.failed_inside
    }

    /// Whether a parameter was reported since this was last asked, those of the start-up left out.
    pub(crate) const fn take_turned(&mut self) -> bool {
        mem::replace(&mut self.turned, false)
    }

    /// The process id that the server, or a proxy, gave with the cancel key.
    pub(crate) const fn key_pid(&self) -> Option<i32> {
        if self.key_have < self.key.len() { None } else { Some(i32::from_be_bytes(self.key)) }
    }

    const fn in_flight(&self) -> bool {
        self.done < self.sent || self.batch
    }

    const fn next_request(&self) -> u64 {
        self.sent.saturating_add(1)
    }

    /// Whether a statement sent now may run outside a transaction.
    const fn outside(&self) -> bool {
        matches!(self.status, Status::Idle) || self.leaving_to > self.done
    }

    fn request_begins(&mut self, tag: u8) {
        self.text = Text::new();
        self.text_over = false;
        self.names_left = u8::from(tag == b'P');
    }

    fn request_body(&mut self, tag: u8, body: &[u8]) {
        if !matches!(tag, b'Q' | b'P') {
            return;
        }
        let mut rest = body;
        while self.names_left > 0 {
            let Some(end) = rest.iter().position(|&byte| byte == 0) else { return };
            self.names_left -= 1;
            rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
        }
        if !self.text_over {
            let end = memchr(0, rest);
            self.text_over = end.is_some();
            self.text.feed(end.and_then(|end| rest.get(..end)).unwrap_or(rest));
        }
    }

    fn request_ends(&mut self, tag: u8) {
        let request = self.next_request();
        // CopyDone, CopyFail.
        self.feeding &= !matches!(tag, b'c' | b'f');
        match tag {
            // The start-up, answered by the first ReadyForQuery.
            0 => self.sent = request,
            b'Q' => {
                self.query(request, self.text.finish());
                self.sent = request;
                self.batch = false;
            }
            // FunctionCall.
            b'F' => {
                self.query(request, Class::Other);
                self.sent = request;
                self.batch = false;
            }
            b'P' => {
                self.parsed_ending |= matches!(self.text.finish(), Class::Leaving | Class::Ending);
                self.busy_to = request;
                self.batch = true;
            }
            // Bind, Describe.
            b'B' | b'D' => {
                self.busy_to = request;
                self.batch = true;
            }
            // Execute: which text it runs is not tracked.
            b'E' => {
                self.query(request, if self.parsed_ending { Class::Ending } else { Class::Other });
                self.batch = true;
            }
            // Close.
            b'C' => self.batch = true,
            // Sync.
            b'S' => {
                self.sent = request;
                self.batch = false;
            }
            // CopyDone: only now can a COPY become durable.
            b'c' if self.outside() || self.parsed_ending => {
                let copy = if self.copy_extended { request } else { self.sent };
                self.durable_to = self.durable_to.max(copy);
            }
            // CopyFail. Behind a COPY that was refused before it began it draws an answer of its own.
            b'f' => self.busy_to = request,
            // Flush, CopyData, Terminate, the answers of authentication.
            _ => {}
        }
    }

    fn query(&mut self, request: u64, class: Class) {
        match class {
            Class::Empty => return,
            Class::Opening => {}
            Class::Leaving => self.leaving_to = request,
            Class::Ending => {
                self.durable_to = request;
                self.ending_to = request;
                self.leaving_to = request;
            }
            Class::Other if self.outside() => self.durable_to = request,
            Class::Other => {}
        }
        self.busy_to = request;
    }

    fn answer_begins(&mut self, tag: u8) {
        self.status_byte = 0;
        if tag == b'E' {
            self.last_words = LastWords::new();
            self.failed_inside = !self.outside() && matches!(self.status, Status::Open);
        }
    }

    fn answer_body(&mut self, tag: u8, body: &[u8]) {
        match tag {
            b'Z' => self.status_byte = body.last().copied().unwrap_or(self.status_byte),
            b'E' => self.last_words.feed(body),
            b'K' => {
                for &byte in body {
                    let Some(place) = self.key.get_mut(self.key_have) else { return };
                    *place = byte;
                    self.key_have += 1;
                }
            }
            _ => {}
        }
    }

    fn answer_ends(&mut self, tag: u8) {
        match tag {
            b'Z' => self.ready(),
            // ParameterStatus: at the start-up all of them, and then what has changed.
            b'S' => self.turned |= self.done > 0,
            // BindComplete.
            b'2' => self.bound = true,
            // CopyInResponse.
            b'G' => self.copy_begins(),
            _ => {}
        }
    }

    fn ready(&mut self) {
        self.bound = false;
        self.copy_extended = false;
        self.feeding = false;
        self.last_words = LastWords::new();
        match self.status_byte {
            b'I' => self.status = Status::Idle,
            b'T' => self.status = Status::Open,
            b'E' => self.status = Status::Failed,
            _ => self.lost = true,
        }
        if self.done < self.sent {
            self.done = self.done.saturating_add(1);
        } else {
            // An answer that nobody asked for: the count is not to be trusted any more.
            self.lost = true;
        }
    }

    fn copy_begins(&mut self) {
        let request = self.done.saturating_add(1);
        if self.durable_to == request && self.ending_to != request {
            // Nothing of a COPY stays before its CopyDone.
            self.durable_to = self.done;
        }
        self.copy_extended = self.bound;
        self.feeding = true;
        if self.bound && self.done < self.sent {
            // While it takes data the server ignores a Sync, the one behind Execute too: the request
            // will end with the Sync behind CopyDone or CopyFail.
            self.sent = self.sent.saturating_sub(1);
            // Unless that one was sent already, as by a caller that gave the COPY up at once.
            self.batch |= self.sent < request;
            self.busy_to = self.busy_to.min(self.sent.max(request));
        }
    }
}
