/* The operators of C++ by the names that a C++ compiler gives them, without a C++ library. */
#include <stdint.h>

#include "expect.h"

#define NEW(name) void *name
NEW(_Znwm)(size_t);
NEW(_Znam)(size_t);
NEW(_ZnwmRKSt9nothrow_t)(size_t, const void *);
NEW(_ZnamRKSt9nothrow_t)(size_t, const void *);
NEW(_ZnwmSt11align_val_t)(size_t, size_t);
NEW(_ZnamSt11align_val_t)(size_t, size_t);
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t)(size_t, size_t, const void *);
NEW(_ZnamSt11align_val_tRKSt9nothrow_t)(size_t, size_t, const void *);
void _ZdlPv(void *), _ZdaPv(void *);
void _ZdlPvm(void *, size_t), _ZdaPvm(void *, size_t);
void _ZdlPvSt11align_val_t(void *, size_t), _ZdaPvSt11align_val_t(void *, size_t);
void _ZdlPvmSt11align_val_t(void *, size_t, size_t), _ZdaPvmSt11align_val_t(void *, size_t, size_t);
void _ZdlPvRKSt9nothrow_t(void *, const void *), _ZdaPvRKSt9nothrow_t(void *, const void *);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *, size_t, const void *);
void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *, size_t, const void *);

static void *good(void *block, size_t size, size_t align) {
    EXPECT(block && (uintptr_t)block % align == 0);
    memset(block, 1, size);
    return block;
}

int main(int argc, char **argv) {
    (void)argv;
    const char none = 0;
    volatile size_t all = SIZE_MAX / 2 + 1;
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        _ZdlPv(good(_Znwm(size), size, 16));
        _ZdaPv(good(_Znam(size), size, 16));
        _ZdlPvm(good(_ZnwmRKSt9nothrow_t(size, &none), size, 16), size);
        _ZdaPvm(good(_ZnamRKSt9nothrow_t(size, &none), size, 16), size);
        _ZdlPvSt11align_val_t(good(_ZnwmSt11align_val_t(size, 256), size, 256), 256);
        _ZdaPvSt11align_val_t(good(_ZnamSt11align_val_t(size, 256), size, 256), 256);
        _ZdlPvmSt11align_val_t(good(_ZnwmSt11align_val_tRKSt9nothrow_t(size, 64, &none), size, 64), size, 64);
        _ZdaPvmSt11align_val_t(good(_ZnamSt11align_val_tRKSt9nothrow_t(size, 64, &none), size, 64), size, 64);
        _ZdlPvRKSt9nothrow_t(good(_Znwm(size), size, 16), &none);
        _ZdaPvRKSt9nothrow_t(good(_Znam(size), size, 16), &none);
        _ZdlPvSt11align_val_tRKSt9nothrow_t(good(_ZnwmSt11align_val_t(size, 1), size, 16), 1, &none);
        _ZdaPvSt11align_val_tRKSt9nothrow_t(good(_ZnamSt11align_val_t(size, 2), size, 16), 2, &none);
    }
    EXPECT(_ZnwmRKSt9nothrow_t(all, &none) == NULL);
    EXPECT(_ZnamSt11align_val_tRKSt9nothrow_t(all, 64, &none) == NULL);
    puts("all of it");
    fflush(stdout);
    /* With an argument: the form that throws, where nobody can. */
    if (argc > 1) _Znwm(all);
    return 0;
}
