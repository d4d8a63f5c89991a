/* A check that cannot be compiled away, and says what failed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                                       \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

/* Runs an expression and expects this errno after it. */
#define ERRNO(expression, code)  \
    do {                         \
        errno = 77;              \
        EXPECT(expression);      \
        EXPECT(errno == (code)); \
    } while (0)
