/* One kind of misuse, named by the first argument, of a block of the size that the second says. Prints the address
 * that is misused first. */
#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include "expect.h"

#define MANY 3000

static void *free_it(void *block) {
    free(block);
    return NULL;
}

static void show(void *address) {
    printf("%p\n", address);
    fflush(stdout);
}

int main(int argc, char **argv) {
    EXPECT(argc == 3);
    const char *kind = argv[1];
    size_t size = strtoul(argv[2], NULL, 10);
    char *block = malloc(size), *others[MANY];
    int many = size > 100000 ? 30 : MANY;
    for (int i = 0; i < many; i++) EXPECT(others[i] = malloc(size));
    memset(block, 1, size);
    show(block);

    if (!strcmp(kind, "none")) {
        block = realloc(block, size * 2);
        memset(block, 2, size * 2);
        free(block);
    } else if (!strcmp(kind, "double-free")) {
        free(block);
        free(block);
    } else if (!strcmp(kind, "double-free-by-another")) {
        free(block);
        pthread_t thread;
        EXPECT(pthread_create(&thread, NULL, free_it, block) == 0);
        pthread_join(thread, NULL);
    } else if (!strcmp(kind, "double-free-late")) {
        free(block);
        for (int i = 0; i < many / 2; i++) free(others[i]);
        free(block);
        for (int i = many / 2; i < many; i++) free(others[i]);
        return 0;
    } else if (!strcmp(kind, "foreign")) {
        char local[64];
        show(local + 16);
        free(local + 16);
    } else if (!strcmp(kind, "foreign-low")) {
        show((void *)0x1230);
        free((void *)0x1230);
    } else if (!strcmp(kind, "foreign-high")) {
        show((void *)0xffff888000000010);
        free((void *)0xffff888000000010);
    } else if (!strcmp(kind, "foreign-realloc")) {
        static char fixed[64];
        show(fixed + 16);
        EXPECT(realloc(fixed + 16, 100));
    } else if (!strcmp(kind, "interior")) {
        show(block + 8);
        free(block + 8);
    } else if (!strcmp(kind, "interior-aligned")) {
        show(block + 16);
        free(block + 16);
    } else if (!strcmp(kind, "overrun-one")) {
        block[size] = 0;
        free(block);
    } else if (!strcmp(kind, "overrun-far")) {
        memset(block + size, 0, 64);
        free(block);
    } else if (!strcmp(kind, "overrun-realloc")) {
        block[size + 3] = 'x';
        block = realloc(block, size * 2);
    } else if (!strcmp(kind, "write-after-free")) {
        free(block);
        block[size / 2] = 7;
    } else if (!strcmp(kind, "write-after-free-many")) {
        free(block);
        block[0] = 7;
        /* Until it leaves the quarantine. */
        for (int i = 0; i < 5000; i++) free(malloc(50000));
        puts("not found");
        fflush(stdout);
        _exit(0);
    } else if (!strcmp(kind, "realloc-after-free")) {
        free(block);
        block = realloc(block, size + 1000);
    } else if (!strcmp(kind, "size-after-free")) {
        free(block);
        EXPECT(malloc_usable_size(block) == 0);
    } else {
        EXPECT(!"a kind");
    }
    for (int i = 0; i < many; i++) free(others[i]);
    return 0;
}
