/** The corpus: raw requests, one per file, with their bytes unchanged. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HostName } from '../../protocol/ids.ts';

/** Files that are not requests. */
const NO_REQUEST = /^\.|\.md$/;
/** Where a host may be named: the field, however it is disguised, and an absolute target. */
const NAMED_HOST = /(?:host[^A-Za-z0-9\r\n]{0,20}:[^A-Za-z0-9\r\n]{0,4}|https?:\/\/)([A-Za-z0-9.-]{1,253})/gi;
/** Hosts that one upstream entry may have; a foreign corpus with more uses several entries. */
const HOSTS_PER_ENTRY = 50;

export interface Message {
  readonly file: string;
  readonly bytes: Buffer;
}

/** All messages of a folder, sorted by name. @throws when there is none */
export function readCorpus(folder: string): Message[] {
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !NO_REQUEST.test(entry.name))
    .map(({ name }) => name)
    .toSorted();
  if (files.length === 0) throw new Error(`no message is in ${folder}`);
  return files.map((file) => ({ file, bytes: readFileSync(join(folder, file)) }));
}

/** Every host that the messages name and that is a valid route, in groups that fit an upstream entry. */
export function hostGroups(messages: readonly Message[]): string[][] {
  const hosts = new Set(messages.flatMap(({ bytes }) => hostsOf(bytes.toString('latin1'))));
  const all = [...hosts].filter((host) => HostName.safeParse(host).success).toSorted();
  return Array.from({ length: Math.ceil(all.length / HOSTS_PER_ENTRY) }, (_, group) =>
    all.slice(group * HOSTS_PER_ENTRY, (group + 1) * HOSTS_PER_ENTRY),
  );
}

const hostsOf = (text: string): string[] =>
  [...text.matchAll(NAMED_HOST)].map(([, host = '']) => host.toLowerCase().replace(/\.$/, ''));
