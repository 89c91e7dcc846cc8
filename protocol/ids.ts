/**
 * Allow-lists for everything that names something. A value that passes one of these schemas is safe as an argv operand,
 * a path segment or a label; nothing else may become one.
 */
import { z } from 'zod';

/** RFC 9562 UUID, lower case. Ids are made by `randomUUIDv7`, so they sort by creation time. */
export const Uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'a lower-case UUID');

/** Name of a project or environment: also a DNS label (RFC 1035), so at most 40 of its 63 characters. */
export const Slug = z
  .string()
  .regex(
    /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
    'lower-case letters, digits and inner dashes, starting with a letter, at most 40',
  );

/** A full SHA-1 commit id. Abbreviations are refused, because they may become ambiguous. */
export const CommitSha = z.string().regex(/^[0-9a-f]{40}$/, 'a full 40-digit commit id');

/** A branch name: a safe subset of git-check-ref-format(1). It cannot start with a dash or contain `..`. */
export const BranchName = z
  .string()
  .max(200)
  .regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9_-])?$/,
    'letters, digits and . _ / - only, starting with a letter or digit',
  )
  .refine((name) => !/\.\.|\/\/|\/\.|\.lock(?:\/|$)|\/$/.test(name), 'not a valid git branch name');

/** An environment variable's name (POSIX.1-2017 8.1, plus lower case). */
export const EnvName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'letters, digits and _, not starting with a digit');

/** An environment variable's value: up to 32 KiB of text without NUL (which execve(2) cannot pass). */
export const EnvValue = z
  .string()
  .max(32_768)
  .refine((value) => !value.includes('\0'), 'must not hold a NUL character');

export const EnvVars = z.record(EnvName, EnvValue);
export type EnvVars = z.infer<typeof EnvVars>;

/** A host name (RFC 1123) in lower case, without port and trailing dot. */
export const HostName = z
  .string()
  .max(253)
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    'a host name in lower case, with other letters than a to z as xn--…',
  );

/** The host of a route: a name, or `*.name` for every name with exactly one more label. */
export const RouteHost = z.union([
  HostName,
  z.templateLiteral(['*.', HostName]).refine((host) => host.split('.').length > 2, 'a wildcard of at least two labels'),
]);

/** A path prefix: `/` or `/a/b`, no trailing slash, no dot segments, no escapes. */
export const PathPrefix = z
  .string()
  .max(200)
  .regex(/^\/(?:[A-Za-z0-9._~-]+(?:\/[A-Za-z0-9._~-]+)*)?$/, 'a plain absolute path without trailing slash')
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), 'no dot segments');

/** A path inside a repository: relative, no `..`, no leading slash or dash; `.` is the root. */
export const RepositoryPath = z
  .string()
  .max(400)
  .regex(
    /^(?:\.|[A-Za-z0-9._@+][A-Za-z0-9._@+-]*(?:\/[A-Za-z0-9._@+][A-Za-z0-9._@+-]*)*)$/,
    'a relative path inside the repository',
  )
  .refine((path) => path === '.' || !path.split('/').some((part) => part === '.' || part === '..'), 'no dot segments');

/**
 * URL of a repository: https (or http, which the hub accepts only where its config allows it), a host name, an optional
 * port, a plain path. No user info (credentials travel separately), no query, no `ext::`, `file://` or options.
 */
export const GitUrl = z
  .string()
  .max(500)
  .regex(
    /^https?:\/\/[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?(?:\/[A-Za-z0-9._~+-]+)+\/?$/,
    'an https URL without user, query or fragment',
  );

/** Content address of an image, as Docker Engine reports it. */
export const ImageId = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const registry = String.raw`(?:localhost|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?=:))(?::[1-9]\d{0,4})?`;
const repositoryPart = String.raw`[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`;
const repository = `${registry}(?:/${repositoryPart})+`;

/**
 * A repository in a registry, with the registry and without tag: `registry.example:5000/team/app`. Without a dot or
 * port the first part would be a name on Docker Hub, which is written `docker.io/team/app` here. Source: the grammar of
 * references in distribution/reference.
 */
export const ImageRepository = z
  .string()
  .max(200)
  .regex(
    new RegExp(`^${repository}$`),
    'registry/repository in lower case, without https:// and tag, as registry.example:5000/team/app',
  );

/** An image in its registry, by its manifest digest. */
export const ImageReference = z
  .string()
  .max(300)
  .regex(new RegExp(`^${repository}@sha256:[0-9a-f]{64}$`));

export const Port = z.int().min(1).max(65_535);

/** A moment: ISO 8601 in UTC with milliseconds. Only for display and ordering; durations come from monotonic clocks. */
export const Timestamp = z.iso.datetime();
