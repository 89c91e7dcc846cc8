// What SQLite's addon calls and older libraries do not have: it brings these itself, and shows them to nobody else.
#include <sys/stat.h>

#define HIDDEN __attribute__((visibility("hidden")))

#if defined(__x86_64__)
constexpr int STAT_VERSION = 1;
#else
constexpr int STAT_VERSION = 0;
#endif

extern "C" {
// All that a C library before 2.33 has of stat(2); its headers called it by the layout's number. Newer ones still have them.
int __xstat64(int version, const char *path, struct stat64 *status);
int __lxstat64(int version, const char *path, struct stat64 *status);
int __fxstat64(int version, int file, struct stat64 *status);
AS_EVER(__xstat64);
AS_EVER(__lxstat64);
AS_EVER(__fxstat64);

// By another name in the source: the headers of today declare them with attributes of their own.
HIDDEN int own_stat(const char *path, struct stat64 *status) __asm__("stat64");
HIDDEN int own_lstat(const char *path, struct stat64 *status) __asm__("lstat64");
HIDDEN int own_fstat(int file, struct stat64 *status) __asm__("fstat64");

int own_stat(const char *path, struct stat64 *status) { return __xstat64(STAT_VERSION, path, status); }
int own_lstat(const char *path, struct stat64 *status) { return __lxstat64(STAT_VERSION, path, status); }
int own_fstat(int file, struct stat64 *status) { return __fxstat64(STAT_VERSION, file, status); }
}

namespace std {
[[noreturn]] void __throw_bad_alloc();
// Of libstdc++ since GCC 11. Without exceptions in the addon either one ends the process.
[[noreturn]] HIDDEN void __throw_bad_array_new_length();
void __throw_bad_array_new_length() { __throw_bad_alloc(); }
}
