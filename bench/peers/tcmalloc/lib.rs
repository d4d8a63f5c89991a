//! Google's tcmalloc under C's names.
//!
//! Its caches are of a processor, by restartable sequences, of which a thread has one; where the C library has taken it, tcmalloc
//! goes on without caches, which nobody would use. So such a process is refused when it starts.

use libtcmalloc_sys as _;

exports::exports! {
    malloc: TCMallocInternalMalloc, calloc: TCMallocInternalCalloc, realloc: TCMallocInternalRealloc, free: TCMallocInternalFree,
    aligned_alloc: TCMallocInternalAlignedAlloc, malloc_usable_size: TCMallocInternalMallocSize
}

#[used]
#[unsafe(link_section = ".init_array")]
static CHECK: extern "C" fn() = check;

extern "C" fn check() {
    const REFUSAL: &[u8] = b"google_tcmalloc takes the restartable sequence that the C library has: set \
        GLIBC_TUNABLES=glibc.pthread.rseq=0\n";
    // SAFETY: a null handle asks all objects of the process; the C library's symbol of that name is an `unsigned int`, which
    // it has written before anything of a library runs.
    let taken = unsafe {
        let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>();
        !size.is_null() && size.read() > 0
    };
    if taken {
        // SAFETY: the bytes are ours; nothing runs after the end.
        unsafe {
            libc::write(2, REFUSAL.as_ptr().cast(), REFUSAL.len());
            libc::_exit(1);
        }
    }
}
