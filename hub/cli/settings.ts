/** Converts command-line options to settings of an environment. The hub validates them. */
import { domainToASCII } from 'node:url';
import type { Domain } from '../../protocol/edge.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { isJsonObject, type JsonObject } from '../../protocol/json.ts';
import { integer } from './input.ts';

export interface SettingOptions {
  domain?: string[];
  stripPrefix?: boolean;
  port?: string;
  root?: string;
  start?: string;
  memory?: string;
  cpus?: string;
  healthPath?: string;
  worker?: boolean;
  setting?: string[];
}

/** The given options only, as a tree: `{ limits: { memoryMiB: 512 } }`. */
export function settingsOf(options: SettingOptions): JsonObject {
  const isVisited = [options.domain, options.healthPath, options.port].some((one) => one !== undefined);
  if (options.worker && isVisited) {
    throw new OrkestrError(
      'ORK_INVALID',
      '--worker is for an app that nothing connects to: do not give --domain, --port or --health-path with it.',
    );
  }
  const given: JsonObject[] = [];
  const add = (path: string, value: unknown): void => {
    if (value !== undefined) given.push(branch(path.split('.'), value));
  };
  add(
    'domains',
    options.domain?.map((text) => domainOf(text, options.stripPrefix === true)),
  );
  add('port', options.port && integer(options.port, '--port'));
  add('rootDirectory', options.root);
  add('startCommand', options.start);
  add('limits.memoryMiB', options.memory && integer(options.memory, '--memory'));
  add('limits.cpus', options.cpus && decimal(options.cpus, '--cpus'));
  add('healthCheck', options.healthPath && { kind: 'http', path: options.healthPath });
  if (options.worker) given.push({ healthCheck: { kind: 'running' }, domains: [] });
  for (const setting of options.setting ?? []) given.push(parseSetting(setting));
  return given.reduce(merge, {});
}

/** The existing domains, then those of `--add-domain`, which replace existing ones of the same host and path. */
export function withDomains(
  there: readonly Domain[],
  added: readonly string[],
  { stripPrefix }: Pick<SettingOptions, 'stripPrefix'>,
): JsonObject[] {
  const given = added.map((text) => domainOf(text, stripPrefix === true));
  const isGiven = ({ host, pathPrefix }: Domain): boolean =>
    given.some((one) => one['host'] === host && (one['pathPrefix'] ?? '/') === pathPrefix);
  return [...there.filter((domain) => !isGiven(domain)), ...given];
}

/** `example.com`, `*.example.com` or `example.com/path`. */
function domainOf(text: string, stripPrefix: boolean): JsonObject {
  const cut = text.indexOf('/');
  if (cut === -1) return { host: hostOf(text) };
  return { host: hostOf(text.slice(0, cut)), pathPrefix: text.slice(cut), ...(stripPrefix && { stripPrefix }) };
}

/** The ASCII form for DNS: `xn--mller-kva.de` for `müller.de`. Invalid names are left for the hub to reject. */
const hostOf = (text: string): string => (/\P{ASCII}/u.test(text) ? domainToASCII(text) || text : text);

function merge(base: JsonObject, changes: JsonObject): JsonObject {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(changes)) {
    const before = Object.hasOwn(base, name) ? base[name] : undefined;
    merged[name] = isJsonObject(before) && isJsonObject(value) ? merge(before, value) : value;
  }
  return merged;
}

function parseSetting(text: string): JsonObject {
  const [, path, value] = /^([A-Za-z]\w*(?:\.(?:[A-Za-z]\w*|\d+))*)=(.*)$/s.exec(text) ?? [];
  if (path === undefined || value === undefined) {
    throw new OrkestrError('ORK_INVALID', `--setting takes path=value, e.g. limits.memoryMiB=512, not "${text}".`);
  }
  return branch(path.split('.'), jsonOrText(value));
}

function branch([first = '', ...rest]: string[], value: unknown): JsonObject {
  return { [first]: rest.length === 0 ? value : branch(rest, value) };
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // a start command, a path: needs no quotes
  }
}

function decimal(text: string, option: string): number {
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text);
  throw new OrkestrError('ORK_INVALID', `${option} takes a number, not "${text}".`);
}
