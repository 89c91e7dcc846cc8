/**
 * How git is run on either side: an explicit child environment, a config that turns everything off which a hostile
 * repository or server could use, and git's own messages as error codes. Both sides still validate URL, branch and
 * commit with ids.ts first: this is the second line.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode } from './error-catalogue.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface GitEnvironmentOptions {
  /** HOME of the child: a folder of ours, never the user's, with nothing in it but {@link gitConfigFile}. */
  readonly home: string;
  /** Let plain http pass beside https (tests and hosts inside a private network). */
  readonly allowHttp?: boolean;
  /** PATH to find git's helpers by. */
  readonly path?: string;
  /** PEM bundle to check servers against; absent: the one git was built with. */
  readonly caFile?: string;
}

/**
 * The only config file that git reads beside the repository's own, see {@link hardenedGitConfig}. By its name: git before 2.32
 * (Debian 11) knows no GIT_CONFIG_GLOBAL, and would run without any of it.
 */
export const gitConfigFile = (home: string): string => join(home, '.gitconfig');

/**
 * The whole environment of a git child (git(1), "ENVIRONMENT VARIABLES"). Nothing is inherited, so no GIT_*, askpass,
 * editor, ssh or proxy variable of the parent reaches git.
 * simple-git blocks GIT_* variables that are not listed: give it `allowEnvironment: Object.keys(...)` of this.
 */
export function gitEnvironment(options: GitEnvironmentOptions): Record<string, string> {
  return {
    PATH: options.path ?? DEFAULT_PATH,
    HOME: options.home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    // Newer ones would read one more file below HOME.
    GIT_CONFIG_GLOBAL: gitConfigFile(options.home),
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: options.allowHttp === true ? 'https:http' : 'https',
    GIT_PROTOCOL_FROM_USER: '0',
    ...(options.caFile === undefined ? {} : { GIT_SSL_CAINFO: options.caFile }),
  };
}

interface GitCredentials {
  /** The repository's URL: the header goes to this URL and below it, nowhere else. */
  readonly url: string;
  readonly username: string;
  readonly token: string;
}

/**
 * Text of a git config that switches hooks, helpers, filters, submodules and foreign transports off and checks every
 * object that comes in. With credentials it also carries the Authorization header (RFC 7617), so that the token is in
 * no argv, URL, environment or log: write it with {@link writePrivateFile}.
 * @param allowHttp lets plain http pass beside https
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
    // Drivers that a machine may know by name; empty commands leave the bytes as they are (gitattributes(5)).
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
    // git sends an extra header along to wherever a redirect leads: with credentials none is followed.
    `  followRedirects = ${credentials === undefined ? 'initial' : 'false'}`,
    '  lowSpeedLimit = 1000',
    '  lowSpeedTime = 30',
    ...(credentials === undefined ? [] : authorization(credentials)),
    '',
  ].join('\n');
}

/** Findings of git-fsck(1) that old, honest histories carry and that are harmless: refused otherwise as under --strict. */
export function fsckTolerance(section: 'fetch' | 'receive'): string[] {
  return [
    `[${section} "fsck"]`,
    '  zeroPaddedFilemode = ignore',
    '  missingSpaceBeforeDate = ignore',
    '  badTimezone = ignore',
  ];
}

function authorization({ url, username, token }: GitCredentials): string[] {
  // A quote, backslash or line end would let the URL write config lines of its own; GitUrl (ids.ts) has none of them.
  if (/["\\\s]/.test(url)) throw new TypeError('A repository URL must not hold quotes, backslashes or white space.');
  const basic = Buffer.from(`${username}:${token}`).toString('base64');
  return [`[http "${url}"]`, `  extraHeader = "Authorization: Basic ${basic}"`];
}

/** Write a file that only its owner can read. An existing one of that name is an error: it may be readable already. */
export function writePrivateFile(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
}

/** git's messages under LC_ALL=C, most telling first. Tested against real servers; git 2.30 to 2.50 have the same words. */
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

/** The error code behind what a failed git fetch, clone or ls-remote wrote to stderr; ORK_CLONE_FAILED when nothing is known. */
export function explainGitFailure(stderr: string): ErrorCode {
  return FAILURES.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'ORK_CLONE_FAILED';
}
