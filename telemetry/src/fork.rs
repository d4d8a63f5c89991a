//! What a forked child gets of its parent's segments: their contents, at the same addresses, in memory of its own.
//!
//! A shared mapping stays shared over `fork`, and that would do worse than mix two processes' counts: the cursors of an
//! allocator's rings *are* counters, so each process would move the other's rings and hand out blocks that it still
//! holds. Therefore:
//!
//! ```text
//! prepare   copies every shared mapping into private memory, and holds the lock on the list of them
//! fork
//! child     moves each copy to the place of its mapping, and marks the writer as forked
//! parent    drops the copies
//! ```
//!
//! The copy is made before the fork and not by the child, because the parent goes on at once: the child would find
//! cursors that no longer fit its rings. Invariants: no mapping comes or goes while the list is locked, and a child never
//! writes to a file of its parent. The handlers allocate nothing and wait for nothing but that lock, which is held over a
//! few system calls.
//!
//! What another thread counts between the copy and the fork is not in the child; neither is that thread. `vfork` and
//! `posix_spawn` run no handlers and need none: their child uses nothing here before its `exec`. Nor do `_Fork` and a
//! bare `clone` run any: after those a child must leave the allocator alone.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap_fixed, munmap};

use crate::layout::{MAX_CHUNKS, chunks_offset};

/// The segments of this process, linked by `next`; read and changed under the lock.
static FIRST: AtomicPtr<Mappings> = AtomicPtr::new(null_mut());
/// The thread that holds the lock, by [`me`]; 0 for none.
static OWNER: AtomicUsize = AtomicUsize::new(0);
/// Whether the end of the fork in progress is to let go of the lock.
static FORKING: AtomicBool = AtomicBool::new(false);
/// Whether the handlers are there.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// The shared mappings of one segment.
pub(crate) struct Mappings {
    /// The file's head, then its chunks.
    all: [Mapping; 1 + MAX_CHUNKS],
    /// Length of each chunk.
    chunk_bytes: usize,
    /// This process is a child of the one that made them, and they are private.
    forked: AtomicBool,
    next: AtomicPtr<Mappings>,
}

/// One shared mapping, or room for one.
struct Mapping {
    start: AtomicPtr<u8>,
    /// During a fork: what it held, in private memory.
    copy: AtomicPtr<u8>,
}

/// A segment's mappings while they are on the list; dropping it unmaps them.
pub(crate) struct Registered(NonNull<Mappings>);

// SAFETY: `Mappings` is atomics, and lives until the one `Registered` is dropped.
unsafe impl Send for Registered {}
// SAFETY: as for `Send`.
unsafe impl Sync for Registered {}

/// Holds the lock, unless the calling thread held it already.
pub(crate) struct Guard {
    outermost: bool,
}

/// A number of the calling thread that a fork does not change.
fn me() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| core::ptr::from_ref(here).addr())
}

/// Waits for the lock on the list of mappings: while it is held, none comes or goes. A thread that is forking holds it from one handler to the other, and may enter again: the handlers
/// of others run in between, and may do anything.
pub(crate) fn lock() -> Guard {
    let me = me();
    // Relaxed: only this thread stores its own number.
    if OWNER.load(Ordering::Relaxed) == me {
        return Guard { outermost: false };
    }
    // Acquire: pairs with the Release in `unlock`.
    while OWNER.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
        std::thread::yield_now();
    }
    Guard { outermost: true }
}

fn unlock() {
    // Release: pairs with the Acquire in `lock`.
    OWNER.store(0, Ordering::Release);
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.outermost {
            unlock();
        }
    }
}

impl Mapping {
    /// Copies what the mapping holds into private memory; none where there is no memory. Needs the lock.
    fn copied(&self, len: usize) -> Option<NonNull<u8>> {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let copy =
            unsafe { mmap_anonymous(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
        let copy: NonNull<u8> = NonNull::new(copy.ok()?.cast())?;
        let start = NonNull::new(self.start.load(Ordering::Relaxed))?;
        for offset in (0..len).step_by(size_of::<u64>()) {
            // SAFETY: both mappings are `len` bytes long and page-aligned, and none is unmapped while the list is locked;
            // shared memory is read through atomics, and the copy is ours alone.
            unsafe {
                let word = start.add(offset).cast::<AtomicU64>().as_ref().load(Ordering::Relaxed);
                // Most of a slot is never touched: what stays zero takes no memory.
                if word != 0 {
                    copy.add(offset).cast::<u64>().write(word);
                }
            }
        }
        Some(copy)
    }

    /// Puts private memory with the same contents in the mapping's place. Needs the lock, and no other thread.
    fn make_private(&self, len: usize) {
        let start = self.start.load(Ordering::Relaxed);
        let ready = NonNull::new(self.copy.swap(null_mut(), Ordering::Relaxed));
        // There is none if memory was short, or if a handler of somebody else made this mapping after ours had run.
        let moved = ready.or_else(|| self.copied(len)).is_some_and(|copy| {
            // SAFETY: both are whole mappings of `len` bytes that this module owns; whoever points into the old one finds the
            // same contents at the same address afterwards.
            unsafe { mremap_fixed(copy.as_ptr().cast(), len, len, MremapFlags::MAYMOVE, start.cast()) }
                .is_ok()
        });
        if !moved {
            let _ = rustix::io::write(
                rustix::stdio::stderr(),
                b"stormglass: a forked process ends at once, for want of memory for counters of its own\n",
            );
            // It would go on with its parent's cursors, and both would hand out blocks that are in use.
            std::process::abort();
        }
    }

    fn drop_copy(&self, len: usize) {
        let copy = self.copy.swap(null_mut(), Ordering::Relaxed);
        if !copy.is_null() {
            // SAFETY: `copied` made exactly this mapping, and nothing points into it.
            let _ = unsafe { munmap(copy.cast(), len) };
        }
    }
}

impl Mappings {
    /// The mappings that there are, with their lengths.
    fn mapped(&self) -> impl Iterator<Item = (&Mapping, usize)> {
        let lengths = core::iter::once(chunks_offset()).chain(core::iter::repeat(self.chunk_bytes));
        // Relaxed, here and in `Mapping`: the lock is held, or this thread is the only one.
        self.all.iter().zip(lengths).filter(|(mapping, _)| !mapping.start.load(Ordering::Relaxed).is_null())
    }

    /// Puts the mappings of a new segment, its head and first chunk (all are that long), on the list.
    pub(crate) fn register(
        head: NonNull<u8>,
        chunk: NonNull<u8>,
        chunk_bytes: usize,
    ) -> Result<Registered, Errno> {
        // Before there is anything that they would be needed for. Two threads may both install them: see `after_in_child`.
        install()?;
        // Zeroed rather than written: most of the room is for chunks that few processes come to have, and stays without memory.
        // SAFETY: numbers, null pointers and `false`, all of which are zeroes.
        let mut mappings: Box<Mappings> = unsafe { Box::new_zeroed().assume_init() };
        mappings.chunk_bytes = chunk_bytes;
        mappings.all[0].start.store(head.as_ptr(), Ordering::Relaxed);
        mappings.all[1].start.store(chunk.as_ptr(), Ordering::Relaxed);
        let mappings = Box::into_raw(mappings);
        let _lock = lock();
        // SAFETY: just made, and not yet shared.
        unsafe { (*mappings).next.store(FIRST.load(Ordering::Relaxed), Ordering::Relaxed) };
        FIRST.store(mappings, Ordering::Relaxed);
        // SAFETY: a box is not at address 0.
        Ok(Registered(unsafe { NonNull::new_unchecked(mappings) }))
    }

    /// Whether this process is a child of the one that made the segment: then nobody else sees what is counted here.
    pub(crate) fn are_forked(&self) -> bool {
        // Relaxed: stored while the process had one thread, before any that may ask.
        self.forked.load(Ordering::Relaxed)
    }

    /// The start of a chunk.
    pub(crate) fn chunk(&self, number: usize) -> Option<NonNull<u8>> {
        // Acquire: pairs with the Release in `grow`.
        NonNull::new(self.all[1 + number].start.load(Ordering::Acquire))
    }

    /// Makes a mapping the chunk of that number.
    pub(crate) fn add(&self, number: usize, chunk: NonNull<u8>, _locked: &Guard) {
        // Release: pairs with the Acquire in `chunk`.
        self.all[1 + number].start.store(chunk.as_ptr(), Ordering::Release);
    }
}

impl core::ops::Deref for Registered {
    type Target = Mappings;

    fn deref(&self) -> &Mappings {
        // SAFETY: lives until `drop`.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let _lock = lock();
        let mut link = &FIRST;
        while link.load(Ordering::Relaxed) != self.0.as_ptr() {
            // SAFETY: what is on the list lives while the list is locked, and this is on the list.
            link = unsafe { &(*link.load(Ordering::Relaxed)).next };
        }
        link.store(self.next.load(Ordering::Relaxed), Ordering::Relaxed);
        for (mapping, len) in self.mapped() {
            mapping.drop_copy(len);
            // SAFETY: the segment's own mapping; slots borrow the writer that owns this, so none is in use.
            let _ = unsafe { munmap(mapping.start.load(Ordering::Relaxed).cast(), len) };
        }
        // SAFETY: `register` made it by `Box::into_raw`, and it is on no list any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Runs `f` on every segment of this process that is shared. Needs the lock.
fn each_shared(f: impl Fn(&Mappings)) {
    let mut next = FIRST.load(Ordering::Relaxed);
    // SAFETY: what is on the list lives while the list is locked.
    while let Some(mappings) = unsafe { next.as_ref() } {
        if !mappings.are_forked() {
            f(mappings);
        }
        next = mappings.next.load(Ordering::Relaxed);
    }
}

extern "C" fn prepare() {
    let guard = lock();
    if guard.outermost {
        FORKING.store(true, Ordering::Relaxed);
    }
    // Held until one of the next two, on this thread: the child's copy of it has this thread alone.
    core::mem::forget(guard);
    each_shared(|mappings| {
        for (mapping, len) in mappings.mapped().filter(|(m, _)| m.copy.load(Ordering::Relaxed).is_null()) {
            let copy = mapping.copied(len).map_or(null_mut(), NonNull::as_ptr);
            mapping.copy.store(copy, Ordering::Relaxed);
        }
    });
}

/// Does its work once, even if it was installed twice.
extern "C" fn after_in_child() {
    each_shared(|mappings| {
        for (mapping, len) in mappings.mapped() {
            mapping.make_private(len);
        }
        mappings.forked.store(true, Ordering::Relaxed);
    });
    forked();
}

extern "C" fn after_in_parent() {
    each_shared(|mappings| {
        for (mapping, len) in mappings.mapped() {
            mapping.drop_copy(len);
        }
    });
    forked();
}

/// Lets go of the lock, if `prepare` was the one to take it.
fn forked() {
    if FORKING.swap(false, Ordering::Relaxed) {
        unlock();
    }
}

/// Sees to it that the handlers run at every fork. The process's first segment comes before whatever is allocated from its
/// pool, and the handlers that were installed first prepare last: what others' handlers allocate is in the copy.
fn install() -> Result<(), Errno> {
    type Handler = extern "C" fn();
    unsafe extern "C" {
        /// POSIX; in every libc that std links.
        fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> core::ffi::c_int;
    }
    if !INSTALLED.load(Ordering::Relaxed) {
        // SAFETY: declared as POSIX has it, and the handlers are functions of this module.
        match unsafe { pthread_atfork(prepare, after_in_parent, after_in_child) } {
            0 => INSTALLED.store(true, Ordering::Relaxed),
            errno => return Err(Errno::from_raw_os_error(errno)),
        }
    }
    Ok(())
}
