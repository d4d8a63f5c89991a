//! The names that the library shows, and the names that it needs.

mod common;

use std::collections::BTreeSet;
use std::process::Command;

/// All of them, and why they are there: C, POSIX, glibc, C++, ours.
const EXPORTED: &str = "
    malloc free calloc realloc reallocarray aligned_alloc free_sized free_aligned_sized
    posix_memalign memalign valloc pvalloc cfree
    malloc_usable_size mallopt mallinfo mallinfo2 malloc_trim malloc_stats malloc_info
    __libc_malloc __libc_free __libc_cfree __libc_calloc __libc_realloc __libc_memalign __libc_valloc __libc_pvalloc
    __posix_memalign
    _Znwm _Znam _ZnwmRKSt9nothrow_t _ZnamRKSt9nothrow_t
    _ZnwmSt11align_val_t _ZnamSt11align_val_t _ZnwmSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t
    _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm _ZdlPvRKSt9nothrow_t _ZdaPvRKSt9nothrow_t
    _ZdlPvSt11align_val_t _ZdaPvSt11align_val_t _ZdlPvmSt11align_val_t _ZdaPvmSt11align_val_t
    _ZdlPvSt11align_val_tRKSt9nothrow_t _ZdaPvSt11align_val_tRKSt9nothrow_t
    stormglass_api_version stormglass_segment_path stormglass_stats_json
";

/// Dynamic symbols, as `nm` of the binutils that the linker comes with lists them: kind and name.
fn symbols() -> Vec<(char, String)> {
    let output = Command::new("nm").arg("-D").arg(common::library()).output().expect("nm");
    assert!(output.status.success(), "{}", common::said(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .map(|line| {
            let mut words = line.split_whitespace().rev();
            let name = words.next().expect("a name").split('@').next().expect("a name");
            (words.next().and_then(|kind| kind.chars().next()).expect("a kind"), name.to_owned())
        })
        .collect()
}

#[test]
fn only_the_names_of_the_interface_are_exported() {
    let expected: BTreeSet<&str> = EXPORTED.split_whitespace().collect();
    let symbols = symbols();
    let found: BTreeSet<&str> =
        symbols.iter().filter(|(kind, _)| !"Uwv".contains(*kind)).map(|(_, name)| name.as_str()).collect();
    assert_eq!(found.difference(&expected).collect::<Vec<_>>(), Vec::<&&str>::new(), "exported by mistake");
    assert_eq!(expected.difference(&found).collect::<Vec<_>>(), Vec::<&&str>::new(), "not exported");
}

#[test]
fn no_cxx_library_is_needed() {
    let needed = symbols().into_iter().filter(|(kind, _)| *kind == 'U').map(|(_, name)| name);
    assert_eq!(needed.filter(|name| name.starts_with("_Z")).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn thread_state_is_initial_exec() {
    // The standard library has thread-locals of another model, which only slow paths touch; so it is not enough that nobody
    // asks for `__tls_get_addr`. A library with thread-locals of the initial-exec model says that it has.
    let output = Command::new("readelf").args(["-d", "-W"]).arg(common::library()).output().expect("readelf");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("STATIC_TLS"), "{text}");
}
