//! Two objects define `pthread_create`: this library's own comes first.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,muldefs");
    println!("cargo::rerun-if-changed=build.rs");
}
