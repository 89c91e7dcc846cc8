/** For programs of ours that a test starts with an environment of its own: compiled code is kept between their starts. */
export const COMPILED = { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };
