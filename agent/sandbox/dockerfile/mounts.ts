/**
 * `RUN --mount` of caches and secrets. Prefixes their ids with the environment: environments of different owners share
 * an engine, and must not share cached files, or layers that were built with a secret. (BuildKit's cache key of a RUN
 * includes the id of a secret, not its value.)
 */
import { OrkestrError } from '../../../protocol/errors.ts';
import { type Flag, flagsOf, writeFlag } from './flags.ts';
import type { Instruction } from './instructions.ts';
import { type Fields, readFields, targetOf, writeFields } from './mount-fields.ts';
import { refused } from './refused.ts';

const MAX_NAME = 128;

/** A piece of the text and its replacement. */
export interface Replacement {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface SecretUse {
  /** Name in the Dockerfile. */
  readonly name: string;
  readonly line: number;
  readonly required: boolean;
}

interface Mounts {
  readonly replacements: readonly Replacement[];
  readonly secrets: readonly SecretUse[];
  /** Whether a cache is among them. */
  readonly hasCache: boolean;
}

/** Rewrites the `--mount` values of RUN instructions so that they are private to the environment. */
export function readMounts(list: readonly Instruction[], idPrefix: string): Mounts {
  const replacements: Replacement[] = [];
  const secrets: SecretUse[] = [];
  let hasCache = false;
  for (const instruction of list) {
    if (instruction.name === 'ONBUILD' && hasMount(instruction.words)) {
      throw refused(
        'Mounts of ONBUILD are not possible here: put the RUN line into the Dockerfile that is built',
        instruction.line,
      );
    }
    if (instruction.name !== 'RUN') continue;
    for (const flag of flagsOf(instruction.words)) {
      if (flag.name !== 'mount') continue;
      const fields = readFields(flag.value, instruction.line);
      const kind = (fields.get('type') ?? 'bind').toLowerCase();
      if (kind === 'ssh')
        throw refused('There is no SSH agent in a build: give the key as a build secret', instruction.line);
      const value =
        kind === 'cache' ? cacheValue(fields, idPrefix) : kind === 'secret' ? secretValue(fields, idPrefix) : null;
      if (value === null) continue;
      hasCache ||= kind === 'cache';
      if (kind === 'secret')
        secrets.push({ name: secretName(fields), line: instruction.line, required: isOn(fields.get('required')) });
      replacements.push(replaceFlag(instruction, flag, writeFlag('mount', value)));
    }
  }
  return { replacements, secrets, hasCache };
}

/** Whether a trigger `RUN …`, of an image or an ONBUILD line, has a mount. */
export const hasMount = (trigger: string): boolean =>
  flagsOf(trigger.replace(/^\s*\S+/, '')).some(({ name }) => name === 'mount');

/** @throws OrkestrError ORK_BUILD_SECRET if a required secret is not set */
export function checkSecrets(uses: readonly SecretUse[], names: ReadonlySet<string>): void {
  const missing = uses.find(({ name, required }) => required && !names.has(name));
  if (missing === undefined) return;
  const { line } = missing;
  const name = missing.name.slice(0, MAX_NAME);
  const text = `Line ${line} of the Dockerfile requires the build secret ${name}, which is not set. ${howToSet(name)}`;
  throw new OrkestrError('ORK_BUILD_SECRET', text);
}

/** How to set a secret. The Dockerfile may ask for a name that no secret can have. */
export function howToSet(name: string): string {
  const allowed = name
    .slice(0, MAX_NAME)
    .replaceAll(/\W/g, '_')
    .replace(/^(?=\d|$)/, '_');
  const command = `\`orkestr env set --build ${allowed}=-\``;
  return allowed === name
    ? `Set it with ${command}.`
    : `A build secret has a name of letters, digits and _: write id=${allowed},target=/run/secrets/${name} there, and set it with ${command}.`;
}

function cacheValue(fields: Fields, idPrefix: string): string {
  const id = fields.get('id') || targetOf(fields);
  return writeFields(new Map([...fields, ['id', `${idPrefix}${id}`]]));
}

/** `src` and `source` are aliases of the id. The default target uses the name without the environment's prefix. */
function secretValue(fields: Fields, idPrefix: string): string {
  const name = secretName(fields);
  const target = targetOf(fields);
  const kept = [...fields].filter(([field]) => !['id', 'src', 'source'].includes(field));
  const named = new Map([...kept, ['id', `${idPrefix}${name}`] as const]);
  if (fields.get('env') === '') named.set('env', name); // else the variable would be named after the prefixed id
  if (target === '' && !fields.has('env')) named.set('target', `/run/secrets/${baseName(name)}`);
  return writeFields(named);
}

const secretName = (fields: Fields): string =>
  fields.get('source') || fields.get('src') || fields.get('id') || baseName(targetOf(fields));

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const isOn = (value: string | undefined): boolean => value !== undefined && value.toLowerCase() !== 'false';

/** Maps a flag to its range in the text, which may span several lines. */
function replaceFlag({ offsets }: Instruction, flag: Flag, text: string): Replacement {
  const start = offsets[flag.start] ?? 0;
  return { start, end: (offsets[flag.end - 1] ?? start) + 1, text };
}
