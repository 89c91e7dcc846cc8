/** How the CLI finds its hub: by environment variables, else by the file that `orkestr login` wrote. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { parseJson } from '../../protocol/json.ts';

export const DEFAULT_URL = 'http://127.0.0.1:7700';

const HubUrl = z.url({ protocol: /^https?$/ });
const Login = z.object({ url: HubUrl, token: z.string().min(1).max(500) });
type Login = z.infer<typeof Login>;

/** A source of settings: the process's environment variables. */
type Environ = Readonly<Record<string, string | undefined>>;

export interface Config {
  /** The hub's URL without trailing slash. */
  readonly url: string;
  readonly token: string | undefined;
  readonly proxies: Proxies;
  /** True when the user disabled colours (https://no-color.org). */
  readonly noColor: boolean;
  /** The file that holds the login. */
  readonly path: string;
}

/** Proxies from the variables that curl and git also use; undefined: direct connection. */
export interface Proxies {
  readonly http: URL | undefined;
  readonly https: URL | undefined;
  /** Hosts to connect to directly nevertheless, in the format of no_proxy. */
  readonly none: string;
}

/**
 * ORKESTR_URL and ORKESTR_TOKEN override the file. A stored token is only used for the hub it was given for, so that
 * pointing ORKESTR_URL elsewhere never sends it to another server.
 * @throws OrkestrError ORK_CONFIG when a variable or the file is not readable.
 */
export function readConfig(environ: Environ = process.env): Config {
  const path = join(environ.XDG_CONFIG_HOME || join(homedir(), '.config'), 'orkestr', 'config.json');
  const stored = readLogin(path);
  const url = normalUrl(environ.ORKESTR_URL || stored?.url || DEFAULT_URL, 'ORKESTR_URL');
  const storedToken = stored !== undefined && normalUrl(stored.url, path) === url ? stored.token : undefined;
  const token = environ.ORKESTR_TOKEN || storedToken;
  return { url, token, proxies: readProxies(environ), noColor: Boolean(environ.NO_COLOR), path };
}

/** Stores a login. The file is readable by its owner only and is replaced atomically. */
export function writeLogin(path: string, login: Login): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, `${JSON.stringify(login, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

export function removeLogin(path: string): void {
  rmSync(path, { force: true });
}

/**
 * A hub's URL in the form in which it is stored and compared: no trailing slash. `source` names the setting in the
 * error.
 */
export function normalUrl(text: string, source: string): string {
  const url = HubUrl.safeParse(text);
  if (!url.success || new URL(text).username !== '') {
    const full = /^[\w.-]+(?::\d+)?(?:\/|$)/.test(text) ? `; write it in full: https://${text}` : '';
    throw new OrkestrError('ORK_CONFIG', `${source} is not an http or https URL without user: ${text}${full}`);
  }
  return url.data.replace(/\/+$/, '');
}

function readProxies(environ: Environ): Proxies {
  const read = (name: string): string => environ[name] || environ[name.toUpperCase()] || '';
  return {
    http: proxyUrl(read('http_proxy'), 'http_proxy'),
    https: proxyUrl(read('https_proxy'), 'https_proxy'),
    none: read('no_proxy'),
  };
}

/** Often given without http://. It may contain a password, so no error quotes it. */
function proxyUrl(text: string, name: string): URL | undefined {
  if (text === '') return undefined;
  const full = text.includes('://') ? text : `http://${text}`;
  if (HubUrl.safeParse(full).success) return new URL(full);
  throw new OrkestrError('ORK_CONFIG', `${name} is not the http or https URL of a proxy.`);
}

function readLogin(path: string): Login | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new OrkestrError('ORK_CONFIG', `The login in ${path} cannot be read.`, { cause: error });
  }
  const login = Login.safeParse(parseJson(text));
  if (!login.success) throw new OrkestrError('ORK_CONFIG', `${path} is damaged. Remove it, then log in again.`);
  return login.data;
}
