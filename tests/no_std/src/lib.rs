//! Links only if relink's core needs no standard library.
//!
//! A program has one panic handler. This library defines it; if relink drew in `std`, there would be two, and the
//! build would fail ("found duplicate lang item `panic_impl`"). No other target than the host's is needed for that.
#![no_std]

use core::{
    alloc::{GlobalAlloc, Layout},
    panic::PanicInfo,
};

// Without a use of it, the crate would not be loaded and nothing would be proved.
pub use relink::Time;

/// An allocator that has nothing to give: the proof is linked and never run.
struct Nothing;

// SAFETY: an allocator may always refuse, and since none is given, none comes back.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NOTHING: Nothing = Nothing;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
