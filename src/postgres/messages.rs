//! The boundaries of messages in a stream of the PostgreSQL protocol (manual, 54.7), in pieces of any size.

/// The longest message that PostgreSQL itself would send or take, 1 GiB
/// (`MaxAllocSize`, src/include/utils/memutils.h).
const LENGTH_MAX: u32 = 0x4000_0000;

/// A part of a message, in the order of the stream, with the message's tag.
pub(crate) enum Piece<'a> {
    Begin(u8),
    Body(u8, &'a [u8]),
    End(u8),
    /// The length cannot be one: the boundaries are lost.
    Broken,
}

/// Finds the boundaries of messages in a stream that comes in pieces of any size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    /// The tag and the length; the first message of a frontend has no tag and takes 0.
    head: [u8; 5],
    have: usize,
    /// Bytes of the body still to come, when the head is complete.
    left: Option<u32>,
}

impl Reader {
    pub(crate) const fn tagged() -> Self {
        Self { head: [0; 5], have: 0, left: None }
    }

    pub(crate) const fn untagged_first() -> Self {
        Self { head: [0; 5], have: 1, left: None }
    }

    /// The next part of `bytes`, which is taken off them; nothing when they are used up.
    pub(crate) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Piece<'a>> {
        match self.left {
            None => {
                while let Some(place) = self.head.get_mut(self.have) {
                    let (&byte, rest) = bytes.split_first()?;
                    *place = byte;
                    *bytes = rest;
                    self.have += 1;
                }
                let [tag, length @ ..] = self.head;
                match u32::from_be_bytes(length).checked_sub(4) {
                    Some(left) if left < LENGTH_MAX => {
                        self.left = Some(left);
                        Some(Piece::Begin(tag))
                    }
                    Some(_) | None => Some(Piece::Broken),
                }
            }
            Some(0) => {
                self.left = None;
                self.have = 0;
                Some(Piece::End(self.tag()))
            }
            Some(left) => {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (body, rest) = bytes.split_at_checked(most).filter(|(body, _)| !body.is_empty())?;
                *bytes = rest;
                let taken = u32::try_from(body.len()).unwrap_or(left);
                self.left = Some(left.saturating_sub(taken));
                Some(Piece::Body(self.tag(), body))
            }
        }
    }

    /// Takes whole messages off `bytes` from here on, as long as nothing is to be learnt from each: rows are
    /// not looked into.
    pub(crate) fn pass_over(&mut self, bytes: &mut &[u8], tells_nothing: impl Fn(u8) -> bool) {
        if self.have > 0 {
            return;
        }
        while let Some(&[tag, a, b, c, d]) = bytes.first_chunk() {
            let length = u32::from_be_bytes([a, b, c, d]);
            let possible = (4..LENGTH_MAX).contains(&length) && tells_nothing(tag);
            let behind = usize::try_from(length).ok().filter(|_| possible).and_then(|length| length.checked_add(1));
            let Some(rest) = behind.and_then(|behind| bytes.get(behind..)) else { return };
            *bytes = rest;
        }
    }

    const fn tag(&self) -> u8 {
        let [tag, ..] = self.head;
        tag
    }
}
