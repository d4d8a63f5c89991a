//! How the library is linked.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    // Once loaded it stays: blocks outlive a `dlclose`, and so does the key that runs at a thread's end.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libstormglass.so");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CC");
    if let Some(unwinder) = unwinder() {
        println!("cargo:rustc-link-search=native={}", unwinder.display());
        println!("cargo:rustc-link-lib=static:+whole-archive,+verbatim=libgcc_eh.a");
    }
}

/// Where the C compiler has its unwinder as an archive. With it inside, a program does not have to load `libgcc_s.so.1` for the
/// library's sake, which takes a tenth of a millisecond a process; where there is none, it loads that.
fn unwinder() -> Option<PathBuf> {
    if std::env::var("TARGET") != std::env::var("HOST") {
        return None;
    }
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let output = Command::new(compiler).arg("-print-file-name=libgcc_eh.a").output().ok()?;
    let archive = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    // A compiler that has none prints the bare name.
    archive.is_file().then(|| archive.parent().map(PathBuf::from)).flatten()
}
