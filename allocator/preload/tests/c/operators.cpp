// The operators as C++ programs use them: with a library that can throw, and a new-handler.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#define EXPECT(condition)                                                    \
    do {                                                                     \
        if (!(condition)) {                                                  \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                    \
        }                                                                    \
    } while (0)

struct alignas(512) Wide {
    char bytes[1000];
};

static volatile std::size_t all = SIZE_MAX / 2 + 1;
static int calls;

static void third_time_out() {
    if (++calls == 3) std::set_new_handler(nullptr);
}

struct Own {};
static void throws_its_own() { throw Own(); }

// Before main, from a constructor, and after it, from a destructor.
static std::map<std::string, std::vector<int>> early{{"a key that is too long to lie in the string itself", {1, 2, 3}}};

template <typename E, typename F>
static bool throws(F f) {
    try {
        f();
    } catch (const E &) {
        return true;
    }
    return false;
}

int main() {
    for (int i = 0; i < 1000; i++) {
        std::unique_ptr<Wide> wide(new Wide);
        std::unique_ptr<Wide[]> wides(new Wide[3]);
        EXPECT(reinterpret_cast<std::uintptr_t>(wide.get()) % 512 == 0);
        EXPECT(reinterpret_cast<std::uintptr_t>(wides.get()) % 512 == 0);
        early[std::to_string(i) + " and some more text"].resize(static_cast<std::size_t>(i));
    }
    EXPECT(throws<std::bad_alloc>([] { delete[] new char[all]; }));
    EXPECT(throws<std::bad_alloc>([] { ::operator delete(::operator new(all, std::align_val_t(64)), std::align_val_t(64)); }));
    EXPECT(::operator new(all, std::nothrow) == nullptr);

    std::set_new_handler(third_time_out);
    EXPECT(throws<std::bad_alloc>([] { ::operator delete(::operator new(all)); }));
    EXPECT(calls == 3);
    calls = 0;
    std::set_new_handler(third_time_out);
    EXPECT(::operator new(all, std::nothrow) == nullptr && calls == 3);
    std::set_new_handler(throws_its_own);
    EXPECT(throws<Own>([] { ::operator delete(::operator new(all)); }));
    std::set_new_handler(nullptr);

    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++)
        threads.emplace_back([t] {
            std::map<int, std::string> map;
            for (int i = 0; i < 5000; i++) map[i * 7919 % 1000] = std::string(static_cast<std::size_t>(i % 300 + t), 'x');
            EXPECT(map.size() == 1000);
        });
    for (auto &thread : threads) thread.join();
    std::puts("all of it");
}
