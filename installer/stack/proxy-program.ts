/** The proxy as it is run: the bundle (docs/adr/0014), and what node is told for it. */

/** Made by installer/prepare/proxy-bundle.ts; path from the folder of the repository. */
export const PROXY_PROGRAM = 'proxy/dist/current/main.cjs';

/**
 * What a host has less memory for than V8 thinks: one thread beside the main one, and young objects in
 * 1 MiB. Its workers and its successor are started with the same.
 */
export const PROXY_FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=1'] as const;
