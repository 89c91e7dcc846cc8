/** The images that a Dockerfile takes from outside, and its stages. */
import { flagsOf } from './flags.ts';
import type { Instruction } from './instructions.ts';
import { readFields } from './mount-fields.ts';
import { refused } from './refused.ts';

/** What stands in an image name. */
const IMAGE_NAME = /^[A-Za-z0-9][A-Za-z0-9._/:@-]*$/;

/**
 * Images from outside, each once, as written but with variables filled in.
 * @param given build args, and what the frontend sets itself: TARGETARCH and its like
 * @throws OrkestrError ORK_DOCKERFILE_REFUSED for a name that cannot be read: it would be had past all checks of base images
 */
export function externalImages(list: readonly Instruction[], given: Readonly<Record<string, string>>): string[] {
  const variables = new Map(Object.entries(given));
  const stages = new Set<string>(['scratch']);
  const images = new Set<string>();
  const firstStage = list.findIndex(({ name }) => name === 'FROM');
  for (const [index, instruction] of list.entries()) {
    if (instruction.name === 'ARG' && index < firstStage) readArguments(instruction.words, given, variables);
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

/** Names of the stages, lower case; those without a name only have a number. */
export const stageNames = (list: readonly Instruction[]): string[] =>
  list.flatMap((instruction) => stageName(instruction) ?? []);

const stageName = ({ name, words }: Instruction): string | undefined =>
  name === 'FROM' ? /\sas\s+(\S+)$/i.exec(words)?.[1]?.toLowerCase() : undefined;

/** Images and stages that an instruction names. Only FROM may use variables. */
function mentioned({ name, words, line }: Instruction, variables: ReadonlyMap<string, string>): string[] {
  switch (name) {
    case 'FROM': {
      const image = words.split(/\s+/).find((word) => !word.startsWith('--')) ?? '';
      return [fillIn(image.replace(/^["']|["']$/g, ''), variables)];
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

/** `ARG a=1 b="2" c` before the first FROM: what FROM lines may use. A build arg that was given goes before the default. */
function readArguments(words: string, given: Readonly<Record<string, string>>, variables: Map<string, string>): void {
  for (const [, name = '', value = ''] of words.matchAll(/(\w+)(?:=("[^"]*"|'[^']*'|\S*))?/g)) {
    variables.set(name, given[name] ?? fillIn(value.replace(/^["']|["']$/g, ''), variables));
  }
}

/** How deep a default may stand in a default. Bounded: a value may name its own variable. */
const MAX_DEPTH = 5;

/** Variables filled in, the inner ones first. Whatever else begins with `$` stays. */
function fillIn(text: string, variables: ReadonlyMap<string, string>): string {
  let filled = text;
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) filled = fillOnce(filled, variables);
  return filled;
}

/** `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+value}` without another variable in them. */
function fillOnce(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$(?:(\w+)|\{(\w+)(?::([-+])([^{}]*))?\})/g, (...match: (string | undefined)[]) => {
    const [, plain, braced, operator, word = ''] = match;
    const value = variables.get(plain ?? braced ?? '') ?? '';
    if (operator === '+') return value === '' ? '' : word;
    return value === '' && operator === '-' ? word : value;
  });
}
