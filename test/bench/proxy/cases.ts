/** The cases for which CPU time per request is measured. */
import { GIBIBYTE } from './lab.ts';
import type { Load } from './load/load.ts';
import { h2load } from './load/h2load.ts';
import { stream } from './load/stream.ts';
import { wrk } from './load/wrk.ts';

interface Case {
  readonly secure: boolean;
  readonly load: Load;
  /** Largest allowed ratio to the better of nginx and haproxy, and to Caddy. */
  readonly bars: { readonly best: number; readonly caddy: number };
}

const KIB = 1024;
const SMALL = { path: '/1k', answerBytes: KIB };
const LARGE = { path: '/64k', answerBytes: 64 * KIB };
const POST = { path: '/post', method: 'POST', bodyBytes: 10 * KIB, answerBytes: 'taken\n'.length } as const;

const CLEARTEXT = { best: 1.15, caddy: 0.3 };
const TLS = { best: 1.25, caddy: 0.3 };
/** From 64 KiB up the kernel's share, the same for every proxy, is large. */
const BULK = { caddy: 0.45 };

export const CASES = {
  get1k: { secure: false, load: wrk({ ...SMALL, connections: 64 }), bars: CLEARTEXT },
  get64k: { secure: false, load: wrk({ ...LARGE, connections: 64 }), bars: { ...CLEARTEXT, ...BULK } },
  post10k: { secure: false, load: wrk({ ...POST, connections: 64 }), bars: CLEARTEXT },
  get1k512: { secure: false, load: wrk({ ...SMALL, connections: 512 }), bars: CLEARTEXT },
  tls1k: { secure: true, load: wrk({ ...SMALL, connections: 64, secure: true }), bars: TLS },
  tls64k: { secure: true, load: wrk({ ...LARGE, connections: 64, secure: true }), bars: { ...TLS, ...BULK } },
  h2tls1k: { secure: true, load: h2load({ ...SMALL, connections: 64 }), bars: { ...TLS, caddy: 0.5 } },
  stream1g: {
    secure: false,
    load: stream({ path: '/1g', answerBytes: GIBIBYTE }),
    bars: { ...CLEARTEXT, ...BULK },
  },
} satisfies Record<string, Case>;

export type CaseName = keyof typeof CASES;
export const CASE_NAMES = Object.keys(CASES) as CaseName[];
