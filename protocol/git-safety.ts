/**
 * How both sides run git: an explicit environment for the child, a config that disables everything that a hostile
 * repository or server could use, and error codes for git's messages. Both sides still validate URL, branch and commit
 * with ids.ts first; this is the second line of defence.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode } from './error-catalogue.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface GitEnvironmentOptions {
  /** HOME of the child: a folder of ours, never the user's, that contains only {@link gitConfigFile}. */
  readonly home: string;
  /** Also allow plain http (tests, and hosts inside a private network). */
  readonly allowHttp?: boolean;
  /** PATH to find git's helpers. */
  readonly path?: string;
  /** PEM bundle to verify servers with; absent: git's own default. */
  readonly caFile?: string;
}

/**
 * The only config file that git reads besides the repository's own, see {@link hardenedGitConfig}. The name matters:
 * git before 2.32 (Debian 11) ignores GIT_CONFIG_GLOBAL, and would run without the file under another name.
 */
export const gitConfigFile = (home: string): string => join(home, '.gitconfig');

/**
 * The whole environment of a git child (git(1), "ENVIRONMENT VARIABLES"). Nothing is inherited, so no GIT_*, askpass,
 * editor, ssh or proxy variable of the parent reaches git.
 * simple-git blocks GIT_* variables that are not listed: pass it `allowEnvironment: Object.keys(...)` of this.
 */
export function gitEnvironment(options: GitEnvironmentOptions): Record<string, string> {
  return {
    PATH: options.path ?? DEFAULT_PATH,
    HOME: options.home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    // Keeps git since 2.32 from reading a second file below HOME.
    GIT_CONFIG_GLOBAL: gitConfigFile(options.home),
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: options.allowHttp === true ? 'https:http' : 'https',
    GIT_PROTOCOL_FROM_USER: '0',
    ...(options.caFile === undefined ? {} : { GIT_SSL_CAINFO: options.caFile }),
  };
}

interface GitCredentials {
  /** The repository's URL. The header is sent to this URL and those below it, and nowhere else. */
  readonly url: string;
  readonly username: string;
  readonly token: string;
}

/**
 * Text of a git config that disables hooks, helpers, filters, submodules and other transports, and checks every
 * received object. With credentials it also contains the Authorization header (RFC 7617), so that the token is in no
 * argv, URL, environment or log: write it with {@link writePrivateFile}.
 * @param allowHttp also allows plain http
 */
export function hardenedGitConfig(options: { allowHttp?: boolean; credentials?: GitCredentials } = {}): string {
  const { allowHttp = false, credentials } = options;
  return [
    '[core]',
    '  hooksPath = /dev/null',
    '  fsmonitor = false',
    '  sshCommand = false',
    '  attributesFile = /dev/null',
    '  excludesFile = /dev/null',
    '  protectHFS = true',
    '  protectNTFS = true',
    '[protocol]',
    '  allow = never',
    '[protocol "https"]',
    '  allow = always',
    ...(allowHttp ? ['[protocol "http"]', '  allow = always'] : []),
    '[credential]',
    '  helper =',
    '[submodule]',
    '  recurse = false',
    '[fetch]',
    '  recurseSubmodules = false',
    '[transfer]',
    '  fsckObjects = true',
    ...fsckTolerance('fetch'),
    // Drivers that the machine's config may define; empty commands leave the bytes unchanged (gitattributes(5)).
    '[filter "lfs"]',
    '  clean =',
    '  smudge =',
    '  process =',
    '  required = false',
    '[gc]',
    '  auto = 0',
    '[maintenance]',
    '  auto = false',
    '[advice]',
    '  detachedHead = false',
    '[safe]',
    '  directory = *',
    '[http]',
    // git would send an extra header to redirect targets too, so with credentials it must not follow redirects.
    `  followRedirects = ${credentials === undefined ? 'initial' : 'false'}`,
    '  lowSpeedLimit = 1000',
    '  lowSpeedTime = 30',
    ...(credentials === undefined ? [] : authorization(credentials)),
    '',
  ].join('\n');
}

/** Harmless git-fsck(1) findings that old, honest histories contain. Without these lines they would be refused. */
export function fsckTolerance(section: 'fetch' | 'receive'): string[] {
  return [
    `[${section} "fsck"]`,
    '  zeroPaddedFilemode = ignore',
    '  missingSpaceBeforeDate = ignore',
    '  badTimezone = ignore',
  ];
}

function authorization({ url, username, token }: GitCredentials): string[] {
  // A quote, backslash or line break would let the URL inject config lines; GitUrl (ids.ts) permits none of them.
  if (/["\\\s]/.test(url)) throw new TypeError('A repository URL must not hold quotes, backslashes or white space.');
  const basic = Buffer.from(`${username}:${token}`).toString('base64');
  return [`[http "${url}"]`, `  extraHeader = "Authorization: Basic ${basic}"`];
}

/** Writes a file that only its owner can read. An existing file is an error, because others may be able to read it. */
export function writePrivateFile(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
}

/** git's messages under LC_ALL=C, most specific first. Tested against real servers; the same in git 2.30 to 2.50. */
const FAILURES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/No space left on device|Disk quota exceeded/, 'ORK_DISK_FULL'],
  [/not our ref|unadvertised object|couldn't find remote ref [0-9a-f]{40}\b/i, 'ORK_COMMIT_UNKNOWN'],
  [/couldn't find remote ref|Remote branch \S+ not found/i, 'ORK_BRANCH_UNKNOWN'],
  [/cloned an empty repository/, 'ORK_REPO_EMPTY'],
  [/transport '\S+' not allowed|protocol '\S*' is not supported|strange pathname|strange hostname/, 'ORK_URL_REFUSED'],
  [/pack exceeds maximum allowed size/, 'ORK_REPO_TOO_LARGE'],
  [/fsck error|error in object|refusing to create malformed symlink|unable to checkout.*\.\./, 'ORK_REPO_UNSAFE'],
  [/could not read (?:Username|Password)|Authentication failed/i, 'ORK_REPO_ACCESS'],
  [
    /not found|returned error: (?:3\d\d|40[0-46-9]|41\d)|is this a git repository\?|unable to update url base/,
    'ORK_REPO_ACCESS',
  ],
  [/does not appear to be a git repository|not valid: could not determine hash/, 'ORK_REPO_ACCESS'],
  [
    /Could not resolve host|Failed to connect|Couldn't connect|Connection (?:refused|reset|timed out)/i,
    'ORK_REPO_UNREACHABLE',
  ],
  [/returned error: (?:5\d\d|429)|too slow|Empty reply|early EOF|hung up unexpectedly/i, 'ORK_REPO_UNREACHABLE'],
  [/certificate|SSL|TLS|RPC failed|Recv failure|unable to access/i, 'ORK_REPO_UNREACHABLE'],
];

/** The error code for the stderr of a failed git fetch, clone or ls-remote; ORK_CLONE_FAILED for an unknown message. */
export function explainGitFailure(stderr: string): ErrorCode {
  return FAILURES.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'ORK_CLONE_FAILED';
}
