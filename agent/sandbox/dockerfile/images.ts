/** The external images of a Dockerfile, and its stages. */
import { flagsOf } from './flags.ts';
import type { Instruction } from './instructions.ts';
import { readFields } from './mount-fields.ts';
import { refused } from './refused.ts';

/** Characters of an image name. */
const IMAGE_NAME = /^[A-Za-z0-9][A-Za-z0-9._/:@-]*$/;

interface Given {
  readonly platform: Readonly<Record<string, string>>;
  readonly buildArgs: Readonly<Record<string, string>>;
}

/**
 * External images without duplicates, as written but with variables expanded.
 * @param platform variables that the frontend itself sets: TARGETARCH and the like
 * @throws OrkestrError ORK_DOCKERFILE_REFUSED for a name that cannot be determined: it would bypass base image checks
 */
export function externalImages(list: readonly Instruction[], { platform, buildArgs }: Given): string[] {
  // A build arg applies below the ARG that declares it; platform args need no ARG.
  const variables = new Map(Object.entries(platform).map(([name, value]) => [name, buildArgs[name] ?? value]));
  const stages = new Set<string>(['scratch']);
  const images = new Set<string>();
  const firstStage = list.findIndex(({ name }) => name === 'FROM');
  for (const [index, instruction] of list.entries()) {
    if (instruction.name === 'ARG' && index < firstStage)
      readArguments(instruction, { platform, buildArgs }, variables);
    for (const name of mentioned(instruction, variables)) {
      if (name === '' || stages.has(name.toLowerCase()) || /^\d+$/.test(name)) continue;
      if (!IMAGE_NAME.test(name))
        throw refused(`It cannot be read which image ${name.slice(0, 100)} is`, instruction.line);
      images.add(name);
    }
    const stage = stageName(instruction);
    if (stage !== undefined) stages.add(stage);
  }
  return [...images];
}

/** Names of the stages in lower case; unnamed stages only have a number. */
export const stageNames = (list: readonly Instruction[]): string[] =>
  list.flatMap((instruction) => stageName(instruction) ?? []);

const stageName = ({ name, words }: Instruction): string | undefined =>
  name === 'FROM' ? /\sas\s+(\S+)$/i.exec(words)?.[1]?.toLowerCase() : undefined;

/** Images and stages that an instruction refers to. Only FROM may use variables. */
function mentioned({ name: instruction, words, line }: Instruction, variables: ReadonlyMap<string, string>): string[] {
  switch (instruction) {
    case 'FROM': {
      const image = words.split(/\s+/).find((word) => !word.startsWith('--')) ?? '';
      const name = fillIn(image.replace(/^["']|["']$/g, ''), variables);
      // Empty is an error for the engine too, or it parses the line differently.
      if (name === '') throw refused(`It cannot be read which image ${image.slice(0, 100)} is`, line);
      return [name];
    }
    case 'COPY':
    case 'ADD':
      return flagsOf(words).flatMap((flag) => (flag.name === 'from' ? [flag.value] : []));
    case 'RUN': {
      const mounts = flagsOf(words).filter((flag) => flag.name === 'mount');
      return mounts.map(({ value }) => readFields(value, line).get('from') ?? '');
    }
    default:
      return [];
  }
}

/** One of `a=1 b="2"'3' c`. Excludes escape characters, and `$` in single quotes, which is literal. */
const ARGUMENT = /\s*([^\s="'\\`]+)(?:=((?:"[^"\\`]*"|'[^'$\\`]*'|[^\s"'\\`])*))?(?=\s|$)/y;

/** `ARG a=1 b="2" c` before the first FROM: variables for FROM lines. A given build arg overrides the default. */
function readArguments(
  { words, line }: Instruction,
  { platform, buildArgs }: Given,
  variables: Map<string, string>,
): void {
  const text = words.trim();
  for (let at = 0; at < text.length; at = ARGUMENT.lastIndex) {
    ARGUMENT.lastIndex = at;
    const [, name = '', value] = ARGUMENT.exec(text) ?? [];
    if (name === '') throw refused('It cannot be read what this ARG gives to FROM: quotes and escapes', line);
    const given = Object.hasOwn(buildArgs, name) ? buildArgs[name] : undefined;
    if (given !== undefined) variables.set(name, given);
    else if (value !== undefined) variables.set(name, fillIn(value.replace(/["']/g, ''), variables));
    // Engines differ in whether this clears the earlier value.
    else if (variables.has(name) && variables.get(name) !== platform[name])
      throw refused(`ARG ${name.slice(0, 100)} stands here twice, once with a value`, line);
  }
}

/** Nesting depth of defaults within defaults. Limited, since a value may refer to its own variable. */
const MAX_DEPTH = 5;

/** Expands variables, innermost first. Any other `$` stays. */
function fillIn(text: string, variables: ReadonlyMap<string, string>): string {
  let filled = text;
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) filled = fillOnce(filled, variables);
  return filled;
}

/** Set only by some engines, or by the sandbox for a build with an allowlist. */
const SET_ELSEWHERE = /^(?:TARGETSTAGE|\w+_PROXY)$/i;

/** `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+value}` without a nested variable. */
function fillOnce(text: string, variables: ReadonlyMap<string, string>): string {
  const variable = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::([-+])([^{}]*))?\})/g;
  return text.replace(variable, (...match: (string | undefined)[]) => {
    const [all = '', plain, braced, operator, word = ''] = match;
    const name = plain ?? braced ?? '';
    if (SET_ELSEWHERE.test(name)) return all;
    const value = variables.get(name) ?? '';
    if (operator === '+') return value === '' ? '' : word;
    return value === '' && operator === '-' ? word : value;
  });
}
