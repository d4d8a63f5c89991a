/* The contract of each function, edge by edge. The compiler must not know what the functions do: -fno-builtin. */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include "expect.h"

void cfree(void *);
void free_sized(void *, size_t);
void free_aligned_sized(void *, size_t, size_t);
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static int aligned(void *block, size_t to) { return block && (uintptr_t)block % to == 0; }

static int zero(const unsigned char *block, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (block[i]) return 0;
    return 1;
}

static void sizes(void) {
    for (size_t size = 0; size < 300000; size += size / 7 + 1) {
        unsigned char *block;
        ERRNO(aligned(block = malloc(size), 16), 77);
        EXPECT(malloc_usable_size(block) >= size);
        memset(block, 0xAB, malloc_usable_size(block));
        ERRNO((free(block), 1), 77);
        ERRNO(aligned(block = calloc(size, 1), 16), 77);
        EXPECT(zero(block, size));
        memset(block, 0xCD, size);
        free(block);
    }
    for (size_t size = 1 << 20; size <= (size_t)1 << 28; size <<= 1) {
        unsigned char *block;
        ERRNO((block = malloc(size)) != NULL, 77);
        block[0] = block[size - 1] = 1;
        ERRNO((free(block), 1), 77);
    }
    void *one = malloc(0), *two = malloc(0);
    EXPECT(one && two && one != two);
    free(one);
    free(two);
    ERRNO((free(NULL), 1), 77);
    EXPECT(malloc_usable_size(NULL) == 0);
}

static void too_much(void) {
    volatile size_t all = SIZE_MAX, half = SIZE_MAX / 2;
    ERRNO(malloc(all) == NULL, ENOMEM);
    ERRNO(malloc(all - 15) == NULL, ENOMEM);
    ERRNO(malloc(half + 1) == NULL, ENOMEM);
    ERRNO(malloc(half) == NULL, ENOMEM);
    ERRNO(calloc(half, 3) == NULL, ENOMEM);
    ERRNO(calloc(half + 1, 2) == NULL, ENOMEM);
    ERRNO(calloc(1, half + 1) == NULL, ENOMEM);
    ERRNO(memalign(4096, all - 100) == NULL, ENOMEM);
    ERRNO(aligned_alloc(64, all - 64) == NULL, ENOMEM);
    ERRNO(valloc(all) == NULL, ENOMEM);
    ERRNO(pvalloc(all) == NULL, ENOMEM);
    char *block = malloc(10);
    strcpy(block, "untouched");
    ERRNO(realloc(block, all) == NULL, ENOMEM);
    ERRNO(realloc(block, half + 1) == NULL, ENOMEM);
    ERRNO(reallocarray(block, half, 4) == NULL, ENOMEM);
    EXPECT(strcmp(block, "untouched") == 0);
    free(block);
    void *out = &out;
    ERRNO(posix_memalign(&out, 64, all) == ENOMEM, 77);
    EXPECT(out == &out);
}

static void grow_and_shrink(void) {
    unsigned char *block = NULL;
    size_t held = 0;
    /* Up and down through every kind of block, and the bytes come along. */
    for (int step = 0; step < 200; step++) {
        size_t size = step < 100 ? (size_t)1 << (step % 25) : (size_t)(200 - step) * 997 + 1;
        unsigned char *moved;
        ERRNO((moved = realloc(block, size)) != NULL, 77);
        for (size_t i = 0; i < (held < size ? held : size); i++) EXPECT(moved[i] == (unsigned char)(i * 31));
        for (size_t i = 0; i < size; i++) moved[i] = (unsigned char)(i * 31);
        block = moved;
        held = size;
    }
    /* As glibc: freed, and null. */
    ERRNO(realloc(block, 0) == NULL, 77);
    block = realloc(NULL, 0);
    EXPECT(block);
    free(block);
    block = reallocarray(NULL, 100, 10);
    EXPECT(block && malloc_usable_size(block) >= 1000);
    block = reallocarray(block, 1000, 10);
    EXPECT(block && malloc_usable_size(block) >= 10000);
    EXPECT(reallocarray(block, 0, 10) == NULL);
}

static void alignments(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t align = 8; align <= (size_t)1 << 22; align <<= 1) {
        for (size_t size = 1; size < 200000; size = size * 5 + 1) {
            void *block = NULL;
            ERRNO(posix_memalign(&block, align, size) == 0, 77);
            EXPECT(aligned(block, align) && malloc_usable_size(block) >= size);
            memset(block, 1, size);
            free(block);
            ERRNO(aligned(block = aligned_alloc(align, size), align), 77);
            memset(block, 2, size);
            /* The alignment may be lost, the bytes may not. */
            unsigned char *bigger = realloc(block, size * 2);
            EXPECT(bigger && bigger[0] == 2 && bigger[size - 1] == 2);
            free(bigger);
            ERRNO(aligned(block = memalign(align, size), align), 77);
            free_aligned_sized(block, align, size);
        }
    }
    void *out = &out;
    ERRNO(posix_memalign(&out, 0, 8) == EINVAL, 77);
    ERRNO(posix_memalign(&out, 4, 8) == EINVAL, 77);
    ERRNO(posix_memalign(&out, 24, 8) == EINVAL, 77);
    ERRNO(posix_memalign(&out, 12345, 8) == EINVAL, 77);
    EXPECT(out == &out);
    ERRNO(aligned_alloc(48, 100) == NULL, EINVAL);
    ERRNO(aligned_alloc(0, 100) == NULL, EINVAL);
    ERRNO(memalign((size_t)-1, 100) == NULL, EINVAL);
    void *block = memalign(48, 100);
    EXPECT(aligned(block, 64));
    free(block);
    EXPECT(aligned(block = valloc(100), page));
    free(block);
    EXPECT(aligned(block = pvalloc(page + 1), page) && malloc_usable_size(block) >= 2 * page);
    cfree(block);
    EXPECT(aligned(block = pvalloc(0), page));
    free_sized(block, 0);
}

static void other_names(void) {
    void *block = __libc_malloc(100);
    EXPECT(block);
    block = realloc(block, 200);
    free(block);
    block = calloc(10, 10);
    block = __libc_realloc(block, 5000);
    __libc_free(block);
    EXPECT(aligned(block = __libc_memalign(256, 1), 256));
    free(block);
    unsigned char *zeros = __libc_calloc(100, 100);
    EXPECT(zeros && zero(zeros, 10000));
    free(zeros);
    /* What libc allocates by itself comes from here too. */
    char *copy = strdup("a copy");
    EXPECT(malloc_usable_size(copy) >= 7);
    copy = realloc(copy, 1000);
    EXPECT(strcmp(copy, "a copy") == 0);
    free(copy);
    char *line = NULL;
    size_t room = 0;
    FILE *self = fopen("/proc/self/maps", "r");
    EXPECT(self && getline(&line, &room, self) > 0 && malloc_usable_size(line) >= room);
    free(line);
    fclose(self);
}

static void figures(void) {
    char *held = malloc(3000000);
    memset(held, 1, 3000000);
    struct mallinfo2 wide = mallinfo2();
    EXPECT(wide.uordblks >= 3000000 && wide.arena >= wide.uordblks);
    EXPECT(wide.fordblks <= wide.arena);
    free(held);
    EXPECT(mallinfo2().uordblks < wide.uordblks);
    EXPECT(mallopt(M_MMAP_THRESHOLD, 100000) == 1);
    EXPECT(mallopt(M_ARENA_MAX, 1) == 1);
    EXPECT(mallopt(12345, 1) == 0);
    int trimmed = malloc_trim(0);
    EXPECT(trimmed == 0 || trimmed == 1);
    char text[1000] = "";
    FILE *memory = fmemopen(text, sizeof text, "w");
    EXPECT(malloc_info(0, memory) == 0);
    fclose(memory);
    EXPECT(strstr(text, "<malloc version=\"stormglass-1\">") && strstr(text, "</malloc>"));
    EXPECT(malloc_info(1, stderr) != 0);
}

/* The first allocation of a thread sets up what it needs, and errno does not show it. */
static void *first_of_a_thread(void *size) {
    void *block;
    ERRNO((block = malloc((size_t)size)) != NULL, 77);
    ERRNO((free(block), 1), 77);
    return NULL;
}

static void *hand_over(void *block) {
    ERRNO((free(block), 1), 77);
    return malloc(777);
}

static void threads(void) {
    for (size_t size = 1; size < 1 << 22; size *= 3) {
        pthread_t thread;
        EXPECT(pthread_create(&thread, NULL, first_of_a_thread, (void *)size) == 0);
        EXPECT(pthread_join(thread, NULL) == 0);
        void *theirs;
        EXPECT(pthread_create(&thread, NULL, hand_over, malloc(size)) == 0);
        EXPECT(pthread_join(thread, &theirs) == 0);
        memset(theirs, 3, 777);
        free(theirs);
    }
}

int main(void) {
    sizes();
    too_much();
    grow_and_shrink();
    alignments();
    other_names();
    figures();
    threads();
    puts("all of it");
    return 0;
}
