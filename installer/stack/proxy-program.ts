/** The proxy as it is run: the bundle (docs/adr/0014), and what node is told for it. */

/** Made by installer/prepare/proxy-bundle.ts; path from the folder of the repository. */
export const PROXY_PROGRAM = 'proxy/dist/current/main.cjs';

/**
 * Memory first, as far as it costs no request anything (docs/performance.md): young objects in 1 MiB, one thread of V8's
 * beside the main one, and a compiler for hot code that waits until code is hot and not just used at the start.
 * `--expose-gc` is for protocol/service/tidy.ts. And code that is seldom run stays compiled: after six collections, some
 * seconds under load, V8 throws it away, and a flip that comes once in an hour would be compiled while visitors wait (4 ms).
 * What the start compiled goes at the first rest all the same, and code that runs less than 200 times is not looked at closely.
 * Of the CAs that Node brings along none is read before one is needed (proxy/tls/acme/transport.ts).
 * Times are told in UTC, for which nobody needs ICU's 0.8 MB of time zones. Workers and successors are started with the same.
 */
export const PROXY_FLAGS = [
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--invocation-count-for-maglev=5000',
  '--expose-gc',
  '--no-flush-bytecode',
  '--bytecode-old-age=1',
  '--flush-baseline-code',
  '--invocation-count-for-feedback-allocation=200',
  '--use-openssl-ca',
  '--no-icu-timezone-data',
] as const;
