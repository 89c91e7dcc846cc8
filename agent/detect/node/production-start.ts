/** Start lines as production runs them: without what waits for changed files, and never by a development server. */
import { lastCommand } from '../start-command.ts';

/** Servers that build while they serve; what they build goes into files by `build`. */
const BUNDLERS =
  /^(?:webpack(?:-cli)? s(?:erve)?|webpack-dev-server|rspack (?:s|serve|dev)|rsbuild dev|parcel(?! (?:build|watch)\b)|ember (?:s|serve|server)|expo start|vite(?= (?:dev|serve|preview)\b| -|$))(?: |$)/;
/** Servers for development that have no build beside them, or one of a platform. */
const OTHERS = /^(?:web-dev-server|wds|live-server|browser-sync start|wrangler (?:pages )?dev)(?: |$)/;

/** What may stand in front of a program. */
const BEFORE = /^(?:cross-env|env|[A-Za-z_]\w*=.*)$/s;
const RUNNER = /^(?:npx|bunx)$/;

const WORD = /(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'\\])+/gs;

interface Command {
  /** The line up to its last command. */
  readonly list: string;
  readonly before: readonly string[];
  /** The program and its arguments. */
  readonly words: readonly string[];
}

/** The last command of a line, which is the one that stays; null where the line is more than a list. */
function commandOf(line: string): Command | null {
  const at = lastCommand(line);
  if (at === null) return null;
  const words = line.slice(at).match(WORD) ?? [];
  const first = words.findIndex((word) => !BEFORE.test(word) && !RUNNER.test(word));
  return first < 0 ? null : { list: line.slice(0, at), before: words.slice(0, first), words: words.slice(first) };
}

/** What kind of development server a line starts; null for none. */
export function developmentServer(line: string): 'bundler' | 'other' | null {
  const command = commandOf(line)?.words.join(' ') ?? '';
  if (BUNDLERS.test(command)) return 'bundler';
  return OTHERS.test(command) ? 'other' : null;
}

/** Options of node and what stands in for it whose value is the next word. */
const VALUED = new Set(
  '-r --require --import --preload --loader --experimental-loader --env-file --env-file-if-exists -C --conditions --watch-path --tsconfig --ignore --include --exclude --port --host -c --config --import-map'.split(
    ' ',
  ),
);

/** The arguments without some of the options in front of the script; null when none of them is there. */
function without(args: readonly string[], dropped: RegExp): string[] | null {
  const kept: string[] = [];
  let [at, found] = [0, false];
  for (let word = args[0]; word?.startsWith('-'); word = args[at]) {
    const size = VALUED.has(word) ? 2 : 1;
    if (dropped.test(word)) found = true;
    else kept.push(...args.slice(at, at + size));
    at += size;
  }
  return found && at < args.length ? [...kept, ...args.slice(at)] : null;
}

/** `bun run --hot x`, `deno serve --watch x`. */
function withoutAfter(words: readonly string[], subcommand: RegExp, dropped: RegExp): string[] | null {
  const size = subcommand.test(words[1] ?? '') ? 2 : 1;
  const rest = without(words.slice(size), dropped);
  return rest && [...words.slice(0, size), ...rest];
}

function withoutTsxWatch(words: readonly string[]): string[] | null {
  if (words[1] !== 'watch') return withoutAfter(words, /^$/, /^--watch/);
  const rest = words.slice(2);
  return ['tsx', ...(without(rest, /^--(?:(?:no-)?clear-screen|ignore|include|exclude)(?:=|$)/) ?? rest)];
}

const NODEMON_VALUED = /^(?:-[weids]|--(?:watch|ext|ignore|delay|signal))$/;
const NODEMON_FLAGS =
  /^(?:-[qVLIC]|--(?:quiet|verbose|legacy-watch|no-stdin|exitcrash|spawn|on-change-only|no-colou?rs?)|--(?:watch|ext|ignore|delay|signal)=.*)$/;

/** What nodemon would run; null where that is not to be seen from its arguments alone. */
function withoutNodemon(words: readonly string[]): string[] | null {
  const options: string[] = [];
  let [at, exec] = [1, ''];
  for (let word = words[1]; word?.startsWith('-'); word = words[at]) {
    if (/^--(?:config|cwd|exec=)/.test(word)) return null;
    const isExec = /^(?:-x|--exec)$/.test(word);
    const isOwn = isExec || NODEMON_VALUED.test(word) || NODEMON_FLAGS.test(word);
    const hasValue = isExec || NODEMON_VALUED.test(word) || (!isOwn && VALUED.has(word));
    if (isExec) exec = words[at + 1] ?? '';
    const end = at + (hasValue ? 2 : 1);
    if (!isOwn) options.push(...words.slice(at, end));
    at = end;
  }
  const rest = words.slice(at);
  // It takes options of its own behind the script as well.
  if (rest.some((word) => word.startsWith('-'))) return null;
  return exec === '' ? runBy(options, rest) : executed(exec, [...options, ...rest]);
}

function runBy(options: readonly string[], rest: readonly string[]): string[] | null {
  const [script = ''] = rest;
  if (script.endsWith('.ts')) return ['ts-node', ...options, ...rest];
  return /^[\w@./-]+$/.test(script) && /(?:\.[cm]?js|\/[^.]+|^[^.]+)$/.test(script)
    ? ['node', ...options, ...rest]
    : null;
}

/** `--exec "npm run build && node x"` is a line of a shell, to which nothing can be added. */
function executed(exec: string, rest: readonly string[]): string[] | null {
  const line = /^(["'])(.*)\1$/s.exec(exec)?.[2] ?? exec;
  if (line.includes('\\') || (rest.length > 0 && lastCommand(line) !== 0)) return null;
  return [line, ...rest];
}

/** Programs that watch files or go into the background, each with what production runs; null where it does neither. */
const PROGRAMS: Readonly<Record<string, (words: readonly string[]) => readonly string[] | null>> = {
  node: (words) => withoutAfter(words, /^$/, /^--watch/),
  tsx: withoutTsxWatch,
  bun: (words) => withoutAfter(words, /^run$/, /^--(?:watch|hot|no-clear-screen)$/),
  deno: (words) => withoutAfter(words, /^(?:run|serve)$/, /^--watch/),
  nodemon: withoutNodemon,
  pm2: ([, ...args]) => (args[0] === 'start' && !args.includes('--no-daemon') ? ['pm2-runtime', ...args] : null),
};

/** The line without its watcher, or kept in the foreground; null when there is none, or it cannot plainly be taken away. */
export function withoutWatcher(line: string): string | null {
  const command = commandOf(line);
  if (command === null) return null;
  const [program = ''] = command.words;
  const run = Object.hasOwn(PROGRAMS, program) ? (PROGRAMS[program]?.(command.words) ?? null) : null;
  if (run === null) return null;
  // npx would look for node in the registry.
  const before = run[0] === program ? command.before : command.before.filter((word) => !RUNNER.test(word));
  // Variables would be those of its first command alone.
  if (before.length > 0 && lastCommand(run[0] ?? '') !== 0) return null;
  return `${command.list}${command.list === '' ? '' : ' '}${[...before, ...run].join(' ')}`;
}

export const withoutWatcherNotice = (from: string, command: string): string =>
  `${from} watches files or goes into the background: \`${command}\` is run instead. Set startCommand if it should be another one.`;

const WATCHES =
  /(?:^|[\s"';&|(])(?:(?:nodemon|ts-node-dev|tsnd|node-dev)(?=[\s"']|$)|tsx watch\b|(?:node|tsx|bun|deno)\s(?:[^;&|]*\s)?--(?:watch|hot)\b)/;

/** What is wrong in production with a line that somebody chose; empty for nothing. */
export function developmentNotices({ command, from }: { readonly command: string; readonly from: string }): string[] {
  const notices: string[] = [];
  if (WATCHES.test(command)) {
    notices.push(
      `${from} watches files: after a crash it waits for a changed one, and its container never ends. Set startCommand to what runs in production.`,
    );
  }
  if (/\bNODE_ENV=["']?dev/.test(command)) {
    notices.push(`${from} runs the app with NODE_ENV=development. Set startCommand to what runs in production.`);
  }
  return notices;
}
