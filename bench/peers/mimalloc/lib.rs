//! mimalloc 3 under C's names.

use libmimalloc_sys as _;

exports::exports! {
    malloc: mi_malloc, calloc: mi_calloc, realloc: mi_realloc, free: mi_free,
    aligned_alloc: mi_aligned_alloc, malloc_usable_size: mi_usable_size
}
