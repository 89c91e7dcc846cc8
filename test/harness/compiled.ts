/** For our programs that a test starts with an environment of its own: caches compiled code between starts. */
export const COMPILED = { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };
