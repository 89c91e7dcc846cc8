/**
 * How glibc keeps what our programs give back (mallopt(3)). By itself it takes the first large block that is freed for a sign that
 * more will follow, and keeps up to twice as much from then on: of compiling at the start that are 2.5 MB for ever. With its own
 * first limit fixed larger blocks go back to the system at once; and the heap grows by a quarter of the usual step.
 */
export const ALLOCATOR = { MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TOP_PAD_: '32768' } as const;
