//! jemalloc 5.3.1 under C's names.

use tikv_jemalloc_sys as _;

exports::exports! {
    malloc: _rjem_malloc, calloc: _rjem_calloc, realloc: _rjem_realloc, free: _rjem_free,
    aligned_alloc: _rjem_aligned_alloc, malloc_usable_size: _rjem_malloc_usable_size
}
