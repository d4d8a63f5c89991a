/* Loads for e2e/footprint that no program here stands for: `loads NAME`. Every byte that is allocated is written.
 *
 *   sizes      48 MiB of one size, all freed, then of the next: nine sizes
 *   survivors  the same, but every 200th block lives on
 *   replace    4 threads, 2000 blocks each, 16 bytes to 16 KiB, replaced at random
 *   bursts     16 threads, each 6 MiB of one magnitude, all freed, then of another, six times
 *   noise      4 threads, each 60,000 small blocks that live on, and between them many that do not
 *   pipeline   4 threads replace blocks that the others allocated
 *   grow       a large block that grows by realloc among small ones, then many large ones, then small ones again
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void *filled(size_t size) {
    void *block = malloc(size);
    if (!block) abort();
    return memset(block, 1, size);
}

/* Of one magnitude. */
static size_t about(unsigned magnitude, uint64_t *state) {
    return ((size_t)1 << magnitude) + next(state) % ((size_t)1 << magnitude);
}

static void in_turn(size_t survivors) {
    static const size_t sizes[] = {24, 100, 300, 1000, 5000, 20000, 70000, 500, 40};
    for (size_t turn = 0; turn < sizeof sizes / sizeof *sizes; turn++) {
        size_t count = ((size_t)48 << 20) / sizes[turn];
        void **blocks = malloc(count * sizeof *blocks);
        for (size_t i = 0; i < count; i++) blocks[i] = filled(sizes[turn]);
        for (size_t i = 0; i < count; i++)
            if (!survivors || i % survivors) free(blocks[i]);
        free(blocks);
    }
}

static void *replace(void *number) {
    enum { COUNT = 2000 };
    void *blocks[COUNT] = {0};
    uint64_t state = 88172645463325252u + (uintptr_t)number * 7919;
    for (int i = 0; i < 300000; i++) {
        size_t which = next(&state) % COUNT;
        free(blocks[which]);
        blocks[which] = filled(about(4 + next(&state) % 10, &state));
    }
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    return 0;
}

static void *bursts(void *number) {
    uint64_t state = 99 + (uintptr_t)number * 131;
    for (unsigned turn = 0; turn < 6; turn++) {
        unsigned magnitude = 5 + (2 * turn + (unsigned)(uintptr_t)number) % 10;
        size_t count = ((size_t)6 << 20) >> magnitude;
        void **blocks = malloc(count * sizeof *blocks);
        for (size_t i = 0; i < count; i++) blocks[i] = filled(about(magnitude, &state));
        for (size_t i = 0; i < count; i++) free(blocks[i]);
        free(blocks);
    }
    return 0;
}

static void *noise(void *number) {
    enum { COUNT = 60000 };
    uint64_t state = 1234567 + (uintptr_t)number * 31;
    void **live = calloc(COUNT, sizeof *live);
    for (int i = 0; i < COUNT; i++) {
        void *brief[30];
        live[i] = filled(16 + next(&state) % 400);
        for (int j = 0; j < 30; j++) brief[j] = filled(about(5 + i / 6000, &state));
        for (int j = 0; j < 30; j++) free(brief[j]);
    }
    for (int i = 0; i < COUNT; i++) free(live[i]);
    free(live);
    return 0;
}

static void *places[4096];

static void *pipeline(void *number) {
    uint64_t state = 5 + (uintptr_t)number * 17;
    for (int i = 0; i < 400000; i++) {
        void *block = filled(about(4 + next(&state) % 8, &state));
        free(__atomic_exchange_n(&places[next(&state) % 4096], block, __ATOMIC_ACQ_REL));
    }
    return 0;
}

static void grow(void) {
    enum { SMALL = 20000 };
    static void *small[SMALL];
    uint64_t state = 3;
    char *table = 0;
    for (size_t i = 0, size = 0; i < 400; i++) {
        size += 60000 + next(&state) % 60000;
        table = realloc(table, size);
        memset(table + size - 60000, 1, 60000);
        for (int j = 0; j < 300; j++) {
            size_t which = next(&state) % SMALL;
            free(small[which]);
            small[which] = filled(20 + next(&state) % 1500);
        }
    }
    free(table);
    for (int turn = 0; turn < 6; turn++) {
        void *large[40];
        for (int i = 0; i < 40; i++) large[i] = filled(300000 + next(&state) % 900000);
        for (int i = 0; i < 40; i++) free(large[i]);
        for (int i = 0; i < SMALL; i++) {
            free(small[i]);
            small[i] = filled(20 + next(&state) % 2500);
        }
    }
}

static void threads(size_t count, void *(*work)(void *)) {
    pthread_t all[16];
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&all[i], 0, work, (void *)i)) abort();
    for (size_t i = 0; i < count; i++) pthread_join(all[i], 0);
}

int main(int count, char **words) {
    const char *load = count == 2 ? words[1] : "";
    if (!strcmp(load, "sizes")) in_turn(0);
    else if (!strcmp(load, "survivors")) in_turn(200);
    else if (!strcmp(load, "replace")) threads(4, replace);
    else if (!strcmp(load, "bursts")) threads(16, bursts);
    else if (!strcmp(load, "noise")) threads(4, noise);
    else if (!strcmp(load, "pipeline")) threads(4, pipeline);
    else if (!strcmp(load, "grow")) grow();
    else return 2;
    return 0;
}
