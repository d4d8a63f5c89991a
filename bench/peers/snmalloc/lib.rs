//! snmalloc under C's names.

use snmalloc_sys as _;

exports::exports! {
    malloc: sn_malloc, calloc: sn_calloc, realloc: sn_realloc, free: sn_free,
    aligned_alloc: sn_aligned_alloc, malloc_usable_size: sn_malloc_usable_size
}
