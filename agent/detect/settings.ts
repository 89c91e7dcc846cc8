/** Explicit settings of an app: those of the environment, then `orkestr.json`, each with its origin. */
import { OrkestrJson } from '../../protocol/build-settings.ts';
import type { BuildSettings } from '../../protocol/build-settings.ts';
import type { Evidence } from '../../protocol/steps.ts';
import type { Facts, Stated, StatedSettings } from './detector.ts';
import { jsonLines } from './json-lines.ts';
import { parseJson } from './manifests.ts';
import type { RepositoryView } from './repository.ts';

const FILE = 'orkestr.json';

/** @throws OrkestrError ORK_MANIFEST_INVALID with the line of the error */
export async function readOrkestrJson(
  repository: RepositoryView,
): Promise<{ readonly said: OrkestrJson; readonly from: (field: string) => string } | null> {
  const text = await repository.text(FILE);
  if (text === null) return null;
  const said = parseJson(FILE, text, OrkestrJson);
  const lines = jsonLines(text);
  return { said, from: (field) => `${FILE} line ${lines.get(field) ?? 1}` };
}

/** Combines both: a setting of the environment overrides the file. */
export function stateSettings(
  settings: BuildSettings,
  port: Stated<number> | undefined,
  file: Awaited<ReturnType<typeof readOrkestrJson>>,
): StatedSettings {
  const stated: Record<string, Stated<unknown>> = {};
  for (const [field, value] of Object.entries(file?.said ?? {})) {
    if (value !== undefined) stated[field] = { value, from: file?.from(field) ?? FILE };
  }
  for (const [field, value] of Object.entries(settings)) {
    if (value !== undefined && field in FIELDS) stated[field] = { value, from: 'environment setting' };
  }
  return { ...stated, ...(port && { port }) };
}

/** Fields that environment settings share with the file, with the fact and evidence that each replaces. */
const FIELDS: Readonly<Record<keyof BuildSettings, readonly [keyof Facts, Evidence['subject']] | null>> = {
  dockerfile: null,
  target: null,
  buildArgs: null,
  detector: null,
  runtimeVersion: null,
  singlePage: null,
  installCommand: ['installCommand', 'install'],
  buildCommand: ['buildCommand', 'build'],
  startCommand: ['startCommand', 'start'],
  outputDirectory: ['outputDirectory', 'output'],
};

/** Replaces detected facts with stated ones, along with their evidence. */
export function applySettings(
  found: { readonly facts: Facts; readonly evidence: readonly Evidence[] },
  stated: StatedSettings,
): { facts: Facts; evidence: Evidence[] } {
  const replaced: Record<string, unknown> = {};
  const told: Evidence[] = [];
  for (const [field, place] of [...Object.entries(FIELDS), ['port', ['port', 'port']] as const]) {
    const said = stated[field as keyof StatedSettings];
    if (said === undefined || place === null) continue;
    const [fact, subject] = place;
    replaced[fact] = said.value;
    const value = typeof said.value === 'object' ? JSON.stringify(said.value) : String(said.value);
    told.push({ subject, value, from: said.from });
  }
  const subjects = new Set(told.map(({ subject }) => subject));
  return {
    facts: { ...found.facts, ...replaced },
    evidence: [...found.evidence.filter(({ subject }) => !subjects.has(subject)), ...told],
  };
}
