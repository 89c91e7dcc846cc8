/*
 * Put before all that SQLite's addon is compiled from. Makes it ask for the version of these functions that the C library
 * had before they moved into libc.so (2.34) or lost their old error handling (2.29): every newer library has those, too.
 */
#if defined(__x86_64__)
#define FIRST_VERSION "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define FIRST_VERSION "GLIBC_2.17"
#else
#error "no release for this processor"
#endif

#define AS_EVER(name) __asm__(".symver " #name "," #name "@" FIRST_VERSION)

AS_EVER(dlopen);
AS_EVER(dlsym);
AS_EVER(dlclose);
AS_EVER(dlerror);
AS_EVER(pthread_create);
AS_EVER(pthread_join);
AS_EVER(pthread_once);
AS_EVER(pthread_mutex_trylock);
AS_EVER(pthread_mutexattr_init);
AS_EVER(pthread_mutexattr_settype);
AS_EVER(pthread_mutexattr_destroy);
AS_EVER(exp);
AS_EVER(log);
AS_EVER(log2);
AS_EVER(pow);
