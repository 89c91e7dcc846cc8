/** The images that a Dockerfile takes from outside, and its stages. */
import { flagsOf } from './flags.ts';
import type { Instruction } from './instructions.ts';

/** Images from outside, each once, as written but with variables filled in. */
export function externalImages(list: readonly Instruction[], buildArgs: Readonly<Record<string, string>>): string[] {
  const variables = new Map<string, string>();
  const stages = new Set<string>(['scratch']);
  const images = new Set<string>();
  const firstStage = list.findIndex(({ name }) => name === 'FROM');
  for (const [index, instruction] of list.entries()) {
    if (instruction.name === 'ARG' && index < firstStage) readArguments(instruction.words, buildArgs, variables);
    for (const name of mentioned(instruction).map((name) => fillIn(name, variables))) {
      const known = name === '' || stages.has(name.toLowerCase()) || /^\d+$/.test(name) || name.includes('$');
      if (!known) images.add(name);
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

/** Images and stages that an instruction names. */
function mentioned({ name, words }: Instruction): string[] {
  switch (name) {
    case 'FROM': {
      const image = words.split(/\s+/).find((word) => !word.startsWith('--')) ?? '';
      return [image.replace(/^["']|["']$/g, '')];
    }
    case 'COPY':
    case 'ADD':
      return flagsOf(words).flatMap((flag) => (flag.name === 'from' ? [flag.value] : []));
    case 'RUN': {
      const mounts = flagsOf(words).filter((flag) => flag.name === 'mount');
      return mounts.map(({ value }) => /(?:^|,)from=([^,]+)/i.exec(value)?.[1] ?? '');
    }
    default:
      return [];
  }
}

/** `ARG a=1 b="2" c` before the first FROM: what FROM lines may use. A build arg that was given goes before the default. */
function readArguments(
  words: string,
  buildArgs: Readonly<Record<string, string>>,
  variables: Map<string, string>,
): void {
  for (const [, name = '', value = ''] of words.matchAll(/(\w+)(?:=("[^"]*"|'[^']*'|\S*))?/g)) {
    variables.set(name, buildArgs[name] ?? fillIn(value.replace(/^["']|["']$/g, ''), variables));
  }
}

/** `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+value}`. */
function fillIn(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g, (...match: (string | undefined)[]) => {
    const [, plain, braced, operator, word = ''] = match;
    const value = variables.get(plain ?? braced ?? '') ?? '';
    if (operator === '+') return value === '' ? '' : word;
    return value === '' && operator === '-' ? word : value;
  });
}
