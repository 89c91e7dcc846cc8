/** How the proxy runs: its bundle (docs/adr/0014), and the flags of node. */

/** Created by installer/prepare/proxy-bundle.ts; relative to the folder of the repository. */
export const PROXY_PROGRAM = 'proxy/dist/current/main.cjs';

/**
 * Saves memory first, as far as that costs requests nothing (docs/performance.md): 1 MiB for young objects, one V8
 * thread beside the main one, and an optimizing compiler that waits until code is hot and not just used at the start.
 * `--expose-gc` is for protocol/service/tidy.ts. Bytecode of rarely run code stays: after six collections, some seconds
 * under load, V8 would drop it, and a flip that happens once an hour would be compiled while visitors wait (4 ms).
 * Baseline code from the start still goes at the first rest, and V8 collects no feedback for code that has run less
 * than 200 times. The CAs that Node includes are not read before one is needed (proxy/tls/acme/transport.ts). Times are
 * in UTC, which does not need ICU's 0.8 MB of time zones. Workers and successors get the same flags.
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
