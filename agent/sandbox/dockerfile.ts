/** What must be known of a Dockerfile before it is built: the images it starts from, and a frontend it would fetch. */
import { OrkestrError } from '../../protocol/errors.ts';

/** The frontend that the engine has built in, under the names that people give for it. */
const STOCK_FRONTEND = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/;
const DIRECTIVE = /^(?:#|\/\/)\s*([A-Za-z][\w]*)\s*=\s*(.*?)\s*$/;

export interface Dockerfile {
  /** The text to build: without a `# syntax=` line, since BuildKit would fetch and run what it names. */
  readonly text: string;
  /** Images it takes from outside, each once, as written but with variables filled in. */
  readonly images: readonly string[];
}

/** @throws OrkestrError ORK_DOCKERFILE_REFUSED for a frontend that is not Docker's own */
export function readDockerfile(source: string): Dockerfile {
  const { text, escape } = stripSyntax(source.replace(/^\uFEFF/, ''));
  return { text, images: externalImages(instructions(text, escape)) };
}

/** Parser directives stand in the first comment lines, before anything else (Dockerfile reference, "Parser directives"). */
function stripSyntax(source: string): { text: string; escape: string } {
  if (source.trimStart().startsWith('{')) throw refused('it is JSON, which would name a frontend');
  const lines = source.split('\n');
  let escape = '\\';
  for (let index = lines[0]?.startsWith('#!') === true ? 1 : 0; index < lines.length; index += 1) {
    const [, name = '', value = ''] = DIRECTIVE.exec(lines[index]?.trim() ?? '') ?? [];
    if (name === '') break;
    if (name.toLowerCase() === 'escape') escape = value;
    if (name.toLowerCase() !== 'syntax') continue;
    if (!STOCK_FRONTEND.test(value)) throw refused(`it asks for the foreign frontend ${value.slice(0, 100)}`);
    // Emptied, not removed: line numbers in messages stay right. A comment, since an empty line would end the directives.
    lines[index] = '#';
  }
  return { text: lines.join('\n'), escape };
}

interface Instruction {
  readonly name: string;
  readonly words: string;
}

/** Logical lines: comments dropped, continuations joined, here-documents skipped. */
function instructions(text: string, escape: string): Instruction[] {
  const found: Instruction[] = [];
  let logical = '';
  let hereDocument: string | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (hereDocument !== undefined) {
      if (line === hereDocument) hereDocument = undefined;
      continue;
    }
    if (line.startsWith('#') || (line === '' && logical === '')) continue;
    const goesOn = line.endsWith(escape);
    logical += goesOn ? `${line.slice(0, -1)} ` : line;
    if (goesOn) continue;
    const [, name = '', words = ''] = /^(\S+)\s*(.*)$/.exec(logical) ?? [];
    logical = '';
    found.push({ name: name.toUpperCase(), words });
    if (/^(?:RUN|COPY|ADD)$/i.test(name)) hereDocument = /<<-?["']?(\w+)/.exec(words)?.[1];
  }
  return found;
}

function externalImages(list: readonly Instruction[]): string[] {
  const variables = new Map<string, string>();
  const stages = new Set<string>(['scratch']);
  const images = new Set<string>();
  const firstStage = list.findIndex(({ name }) => name === 'FROM');
  for (const [index, instruction] of list.entries()) {
    if (instruction.name === 'ARG' && index < firstStage) readArguments(instruction.words, variables);
    for (const name of mentioned(instruction).map((name) => fillIn(name, variables))) {
      const known = name === '' || stages.has(name.toLowerCase()) || /^\d+$/.test(name) || name.includes('$');
      if (!known) images.add(name);
    }
    const stage = instruction.name === 'FROM' ? / as (\S+)$/i.exec(instruction.words)?.[1] : undefined;
    if (stage !== undefined) stages.add(stage.toLowerCase());
  }
  return [...images];
}

/** Images and stages that an instruction names. */
function mentioned({ name, words }: Instruction): string[] {
  switch (name) {
    case 'FROM': {
      const image = words.split(/\s+/).find((word) => !word.startsWith('--')) ?? '';
      return [image.replace(/^["']|["']$/g, '')];
    }
    case 'COPY':
    case 'ADD':
      return [/(?:^|\s)--from=(\S+)/.exec(words)?.[1] ?? ''];
    case 'RUN': {
      const mounts = [...words.matchAll(/(?:^|\s)--mount=(\S+)/g)];
      return mounts.map(([, options = '']) => /(?:^|,)from=([^,]+)/.exec(options)?.[1] ?? '');
    }
    default:
      return [];
  }
}

/** `ARG a=1 b="2"` before the first FROM: what FROM lines may use. */
function readArguments(words: string, variables: Map<string, string>): void {
  for (const [, name = '', value = ''] of words.matchAll(/(\w+)=("[^"]*"|'[^']*'|\S*)/g)) {
    variables.set(name, fillIn(value.replace(/^["']|["']$/g, ''), variables));
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

function refused(why: string): OrkestrError {
  return new OrkestrError('ORK_DOCKERFILE_REFUSED', `The Dockerfile is refused: ${why}.`);
}
