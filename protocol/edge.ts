/** What the edge does with the requests of an environment besides passing them on. Every field has a default. */
import { z } from 'zod';
import { HostName, PathPrefix, RouteHost } from './ids.ts';

/** The address at which visitors reach an environment. */
export const Domain = z.object({
  host: RouteHost,
  pathPrefix: PathPrefix.default('/'),
  /** The app gets the path without the prefix. */
  stripPrefix: z.boolean().optional(),
});
export type Domain = z.infer<typeof Domain>;

/** An address or a network: `203.0.113.7`, `10.0.0.0/8`, `2001:db8::/32`. */
export const AddressRange = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

/**
 * Cost of every {@link PasswordHash} (RFC 7914): 16 MiB and some 30 ms of one core per check. The salt has 16 bytes,
 * the key 32.
 */
export const PASSWORD_COST = { N: 16_384, r: 8, p: 1 } as const;

/** `scrypt:<base64 salt>:<base64 key>`. The hub and the CLI make it; nobody stores the password itself. */
const PasswordHash = z.string().regex(/^scrypt:[A-Za-z0-9+/]{22,}={0,2}:[A-Za-z0-9+/]{43,}={0,2}$/);

/**
 * Average limit on the requests of one client address in a window. After a quiet time, that many and `burst` more may
 * come at once.
 */
const RateLimit = z.object({
  requests: z.int().min(1).max(1_000_000),
  perSeconds: z.number().min(0.1).max(86_400).default(1),
  burst: z.int().min(0).max(1_000_000).default(0),
});
type RateLimit = z.infer<typeof RateLimit>;

export const EdgeSettings = z.object({
  /** The app's protocol: HTTP/1.1, or HTTP/2 without TLS (gRPC servers). */
  appProtocol: z.enum(['http1', 'h2c']).default('http1'),
  /** `auto`: redirects http to https once the host has a certificate. `only`: always. `off`: never, and asks no CA. */
  https: z.enum(['auto', 'only', 'off']).default('auto'),
  /** Redirect the environment's other hosts to this one. */
  canonicalHost: HostName.optional(),
  /** Compress text that the app sent uncompressed with br, zstd or gzip. */
  compression: z.boolean().default(false),
  /** Largest request body, bytes. 0: no limit. */
  maxBodyBytes: z.int().min(0).default(0),
  /** Requests in flight at once; further ones are answered 503. 0: no limit. */
  maxConcurrent: z.int().min(0).max(1_000_000).default(0),
  ratePerClient: RateLimit.optional(),
  /** From the last progress of a request to the head of the app's response. */
  responseSeconds: z.number().min(1).max(3600).default(60),
  /** How long a stream or body may be silent in both directions before it is ended. */
  idleSeconds: z.number().min(1).max(86_400).default(3600),
  /** Serve only these clients; empty: all. */
  allowFrom: z.array(AddressRange).max(100).default([]),
  /** Users and their passwords (HTTP Basic); empty: none required. */
  basicAuth: z
    .array(
      z.object({
        user: z
          .string()
          .min(1)
          .max(100)
          .regex(/^[^:\p{Cc}]+$/u),
        password: PasswordHash,
      }),
    )
    .max(20)
    .default([]),
  /** Answer every request 503 with the maintenance page. */
  maintenance: z.boolean().default(false),
  /** Custom pages for errors of the proxy itself, by status: HTML, at most 32 KiB each. */
  errorPages: z.partialRecord(z.enum(['404', '429', '502', '503', '504']), z.string().max(32_768)).default({}),
});
export type EdgeSettings = z.infer<typeof EdgeSettings>;

/**
 * When a new target counts as bad: it refuses connections (`refusals` in a row without a response between), or, from
 * `minRequests` responses on, the share of errors is above `errorRatio` and above `errorFactor` times the previous
 * target's share.
 */
export const WatchRule = z.object({
  refusals: z.int().min(1).max(1000).default(3),
  errorRatio: z.number().min(0).max(1).default(0.2),
  errorFactor: z.number().min(1).max(1000).default(3),
  minRequests: z.int().min(1).max(1_000_000).default(20),
});
export type WatchRule = z.infer<typeof WatchRule>;
