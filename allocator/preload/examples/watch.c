/* A program that looks at its own memory where it runs under stormglass, and runs without it as well:
 *
 *     cc -I include examples/watch.c -o watch
 *     ./watch
 *     LD_PRELOAD=libstormglass.so ./watch
 */
#define STORMGLASS_WEAK
#include "stormglass.h"

#include <stdio.h>
#include <stdlib.h>

int main(void) {
    if (!stormglass_api_version) {
        puts("not under stormglass");
        return 0;
    }
    printf("stormglass, interface %u\n", stormglass_api_version());
    const char *path = stormglass_segment_path();
    printf("segment: %s\n", path ? path : "none");

    size_t length = stormglass_stats_json(NULL, 0);
    /* A little more, because this very allocation may make a number longer. */
    size_t size = length + 64;
    char *json = (char *)malloc(size);
    if (!json || stormglass_stats_json(json, size) >= size) return 1;
    puts(json);
    free(json);
    return 0;
}
