/**
 * How glibc keeps memory that our programs free (mallopt(3)). By default it takes the first large block that is freed
 * as a sign that more will follow, and from then on keeps up to twice as much: the compiling at the start makes that
 * 2.5 MB forever. With its initial threshold fixed, larger blocks go back to the system at once. The heap grows by a
 * quarter of the usual step.
 */
export const ALLOCATOR = { MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TOP_PAD_: '32768' } as const;
