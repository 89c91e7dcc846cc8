/** Chooses an app's runtime version: what the repository asks for, and the base image that provides it. */
import type { Evidence } from '../../protocol/steps.ts';
import { BaseImages, imageVersion, withoutRelease, withVersion } from './base-images.ts';
import type { DetectRequest, Stated } from './detector.ts';
import type { RepositoryView } from './repository.ts';
import { admits } from './versions.ts';

/** The default image names. */
const OURS = BaseImages.parse({});

/** A runtime whose version is in its base image's tag. */
export interface Runtime {
  readonly name: string;
  readonly kind: keyof BaseImages;
  /** Version components in a tag: 1 for `node:26`, 2 for `python:3.11`. */
  readonly digits: 1 | 2;
  /** Lines to choose from if the default one does not fit, in order of preference: the next newer one, then others. */
  readonly lines: readonly string[];
  /** Code for an older line may not run on a newer one: prefers the first of `lines` that fits over the default. */
  readonly nearest?: boolean;
  /** Lines with security support, newest first. An older line outside the list gets a warning; absent: no warnings. */
  readonly supported?: readonly string[];
  /** First line with official images on Debian 13; absent: all lines in use have them. */
  readonly trixieSince?: string;
  /** The program that requires the exact version requested; absent: the same line is enough. */
  readonly exactFor?: string;
  /** Lines that a host can build images of, apart from the default's (agent/base-images/). */
  readonly makeable?: readonly string[];
  /** Describes the default, for evidence if nothing asks for a version. */
  readonly standing: string;
  /** Where a repository states the version, the most specific place first. */
  readonly files: readonly VersionFile[];
}

export interface VersionFile {
  readonly path: string;
  /** The version in the text, or null if the file does not state it. */
  readonly read: (text: string) => string | null | undefined;
}

/** A file that contains only the version, and comments: `.nvmrc`, `.ruby-version`. */
export const versionFile = (path: string): VersionFile => ({
  path,
  read: (text) => /^(?:[^\S\n]*(?:#.*)?\n)*[^\S\n]*(?:[a-z]+-)?([^\s#]\S*)/.exec(text)?.[1],
});

/** Tool versions: mise's own file (`node = "20"`), then asdf's `.tool-versions` (`nodejs 20.11.1`), in mise's order. */
export function toolVersions(...tools: readonly string[]): VersionFile[] {
  const names = tools.join('|');
  const field = new RegExp(`^"?(?:${names})"?[ \\t]*=[ \\t]*(?:[[{ \\t]|version[ \\t]*=)*["']([^"'\\n]+)`, 'm');
  const line = new RegExp(`^(?:${names})[ \\t]+(\\S+)`, 'm');
  return [
    ...MISE_FILES.map((path) => ({ path, read: (text: string) => field.exec(miseTools(text))?.[1] })),
    { path: '.tool-versions', read: (text) => line.exec(text)?.[1] },
  ];
}

export const MISE_FILES = ['mise.toml', '.mise.toml'];

/** The lines of the table `tools`; empty if there is none. */
const miseTools = (text: string): string => text.split(/^\[/m).find((table) => table.startsWith('tools]')) ?? '';

export interface ChosenRuntime {
  readonly image: string;
  /** Empty if the image's name does not contain it. */
  readonly version: string;
  readonly evidence: Evidence;
  readonly warnings: readonly string[];
}

/** The version that the settings or the repository ask for, or null. */
export async function wantedVersion(
  folders: readonly RepositoryView[],
  runtime: Pick<Runtime, 'files'>,
  { stated, said }: { readonly stated: Stated<string> | undefined; readonly said: Stated<string> | null },
): Promise<Stated<string> | null> {
  if (stated !== undefined) return stated;
  for (const repository of folders) {
    for (const { path, read } of runtime.files) {
      const text = await repository.text(path);
      const value = text === null ? null : read(text)?.trim();
      if (value) return { value: value.slice(0, 60), from: path };
    }
  }
  return said;
}

/**
 * The base image of a runtime: of the requested version if there is one, else the default with a warning. `folders` may
 * have version files, the nearest first; `said`, what the manifest states, is used if there is no such file.
 */
export async function chooseRuntime(
  { surroundings, stated }: Pick<DetectRequest, 'surroundings' | 'stated'>,
  folders: readonly RepositoryView[],
  runtime: Runtime,
  said: Stated<string> | null = null,
): Promise<ChosenRuntime> {
  const wanted = await wantedVersion(folders, runtime, { stated: stated.runtimeVersion, said });
  const standard = surroundings.baseImages[runtime.kind];
  const have = imageVersion(standard);
  const made = await linesMadeHere(surroundings, runtime, standard);
  const choice = made.length > 0 ? amongMade : amongAll;
  const { image, version, from, warnings = [] } = choice({ runtime, standard, have, made, wanted });
  return {
    image,
    version: version ?? '',
    evidence: { subject: 'version', value: version ?? image, from },
    warnings: warnings.length > 0 ? warnings : endOfLife(runtime, version, from),
  };
}

interface Asked {
  readonly runtime: Runtime;
  /** The host's image for the kind, and its version; null if its name does not contain one. */
  readonly standard: string;
  readonly have: string | null;
  /** Versions of images that the host built itself, the default's first. */
  readonly made: readonly string[];
  readonly wanted: Stated<string> | null;
}

interface Choice {
  readonly image: string;
  readonly version: string | null;
  readonly from: string;
  readonly warnings?: readonly string[];
}

/** Chooses for a host with a registry, which has all versions. */
function amongAll({ runtime, standard, have, wanted }: Asked): Choice {
  const usual = { image: standard, version: have };
  if (wanted === null) return { ...usual, from: defaultOf(runtime, standard) };
  const from = saidBy(wanted);
  const exact = exactVersion(wanted.value, runtime);
  if (have !== null && exact !== null)
    return { image: withoutRelease(withVersion(standard, exact)), version: exact, from };
  const line = lineFor(wanted.value, runtime);
  const isNearest = runtime.nearest !== true || line === have;
  if (have === null || (isNearest && admits(wanted.value, have))) return { ...usual, from };
  if (line !== null) return { image: publishedImage(standard, line, runtime), version: line, from };
  const warning = `${asksFor(wanted, runtime)}, but orkestr knows no base image for that and uses ${have}.`;
  return { ...usual, from: 'default', warnings: [warning] };
}

/** The version if it is exact and not a range, for a runtime where that matters. */
function exactVersion(wanted: string, { exactFor }: Runtime): string | null {
  return exactFor === undefined ? null : (/^[v=\s]*(\d+\.\d+\.\d+)$/.exec(wanted)?.[1] ?? null);
}

/** The image of a line. Lines that ended before Debian 13 have no image with its name. */
function publishedImage(standard: string, line: string, { trixieSince }: Runtime): string {
  const image = withVersion(standard, line);
  return trixieSince === undefined || admits(`>=${trixieSince}`, line) ? image : withoutRelease(image);
}

/** Chooses for a host that builds its images itself, and has no others. */
function amongMade({ runtime, standard, have, made, wanted }: Asked): Choice {
  const { name, kind } = runtime;
  const line = made.find((version) => wanted === null || admits(wanted.value, version)) ?? made[0] ?? '';
  const found = { image: withVersion(standard, line), version: line };
  const missing = (which: string): string =>
    `To make the missing image, run \`orkestr-agent base-images build ${which}\`.`;
  if (wanted !== null && admits(wanted.value, line)) {
    const from = saidBy(wanted);
    if (exactVersion(wanted.value, runtime) === null) return { ...found, from };
    const refused = `${asksFor(wanted, runtime)}, and ${runtime.exactFor} refuses any other version. This host made its base images itself, so its ${name} ${line} may have another patch version. Ask for "~> ${line}.0".`;
    return { ...found, from, warnings: [refused] };
  }
  if (wanted === null) {
    if (line === have) return { ...found, from: defaultOf(runtime, standard) };
    const warning = `This host made its base images itself and has ${name} ${line}, but not ${have}. ${missing(kind)}`;
    return { ...found, from: HOST, warnings: [warning] };
  }
  const other = lineFor(wanted.value, runtime);
  const mend = other !== null && runtime.makeable?.includes(other) ? ` ${missing(`${kind}:${other}`)}` : '';
  const warning = `${asksFor(wanted, runtime)}, but this host made its base images itself and has only ${made.join(', ')}.${mend}`;
  return { ...found, from: HOST, warnings: [warning] };
}

const HOST = 'base image of this host';

const saidBy = ({ from, value }: Stated<string>): string => `${from}: ${value}`;
const asksFor = ({ from, value }: Stated<string>, { name }: Runtime): string => `${from} asks for ${name} ${value}`;
const defaultOf = ({ kind, standing }: Runtime, standard: string): string =>
  standard === OURS[kind] ? `default: ${standing}` : 'default of this host';

/** Empty on a host that pulls its images from a registry. */
async function linesMadeHere(
  { isMadeHere }: DetectRequest['surroundings'],
  { makeable = [] }: Runtime,
  standard: string,
): Promise<string[]> {
  const have = imageVersion(standard);
  if (have === null) return [];
  const lines = [...new Set([have, ...makeable])];
  const made = await Promise.all(lines.map((line) => isMadeHere(withVersion(standard, line))));
  return lines.filter((_line, index) => made[index]);
}

/** A warning if the version has no security support, unless it is newer than all known ones. */
function endOfLife({ name, supported = [] }: Runtime, version: string | null, from: string): string[] {
  const [newest] = supported;
  if (version === null || newest === undefined || supported.some((line) => admits(line, version))) return [];
  if (admits(`>${newest}`, version)) return [];
  return [`${name} ${version} (${from}) no longer gets security fixes. Ask for ${supported.join(' or ')}.`];
}

/** The version line for a range: the best known one, else the one that the range names. */
function lineFor(range: string, { lines, digits }: Pick<Runtime, 'lines' | 'digits'>): string | null {
  const known = lines.find((line) => admits(range, line));
  if (known !== undefined) return known;
  const named = /^[v=^~\s]*(?:>=)?\s*(\d{1,3}(?:\.\d{1,3})*)/.exec(range)?.[1]?.split('.') ?? [];
  return named.length < digits ? null : named.slice(0, digits).join('.');
}
