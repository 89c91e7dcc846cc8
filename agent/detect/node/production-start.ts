/** Start commands adapted to production: without file watchers, and never through a development server. */
import { lastCommand } from '../start-command.ts';

/** Servers that bundle on the fly; `build` writes the same to files. */
const BUNDLERS =
  /^(?:webpack(?:-cli)? s(?:erve)?|webpack-dev-server|rspack (?:s|serve|dev)|rsbuild dev|parcel(?! (?:build|watch)\b)|ember (?:s|serve|server)|expo start|vite(?= (?:dev|serve|preview)\b| -|$))(?: |$)/;
/** Development servers without a corresponding build, or of a hosting platform. */
const OTHERS = /^(?:web-dev-server|wds|live-server|browser-sync start|wrangler (?:pages )?dev)(?: |$)/;

/** Words that may precede a program. */
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

/** The last command of a line, which keeps running; null if the line is not just a list. */
function commandOf(line: string): Command | null {
  const at = lastCommand(line);
  if (at === null) return null;
  const words = line.slice(at).match(WORD) ?? [];
  const first = words.findIndex((word) => !BEFORE.test(word) && !RUNNER.test(word));
  return first < 0 ? null : { list: line.slice(0, at), before: words.slice(0, first), words: words.slice(first) };
}

/** The kind of development server that a line starts, or null. */
export function developmentServer(line: string): 'bundler' | 'other' | null {
  const command = commandOf(line)?.words.join(' ') ?? '';
  if (BUNDLERS.test(command)) return 'bundler';
  return OTHERS.test(command) ? 'other' : null;
}

/** Options of node and similar programs that take the next word as their value. */
const VALUED = new Set(
  '-r --require --import --preload --loader --experimental-loader --env-file --env-file-if-exists -C --conditions --watch-path --tsconfig --ignore --include --exclude --port --host -c --config --import-map'.split(
    ' ',
  ),
);

/** The arguments without the dropped options before the script; null if there are none to drop. */
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

/** The command that nodemon would run; null if its arguments do not determine it. */
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
  // It also takes options of its own after the script.
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

/** `--exec "npm run build && node x"` is a shell line, to which arguments cannot be added. */
function executed(exec: string, rest: readonly string[]): string[] | null {
  const line = /^(["'])(.*)\1$/s.exec(exec)?.[2] ?? exec;
  if (line.includes('\\') || (rest.length > 0 && lastCommand(line) !== 0)) return null;
  return [line, ...rest];
}

/** Programs that watch files or run in the background, with their production form; null if it does neither. */
const PROGRAMS: Readonly<Record<string, (words: readonly string[]) => readonly string[] | null>> = {
  node: (words) => withoutAfter(words, /^$/, /^--watch/),
  tsx: withoutTsxWatch,
  bun: (words) => withoutAfter(words, /^run$/, /^--(?:watch|hot|no-clear-screen)$/),
  deno: (words) => withoutAfter(words, /^(?:run|serve)$/, /^--watch/),
  nodemon: withoutNodemon,
  pm2: ([, ...args]) => (args[0] === 'start' && !args.includes('--no-daemon') ? ['pm2-runtime', ...args] : null),
};

/** The line without its watcher, or in the foreground; null if there is none, or it cannot safely be removed. */
export function withoutWatcher(line: string): string | null {
  const command = commandOf(line);
  if (command === null) return null;
  const [program = ''] = command.words;
  const run = Object.hasOwn(PROGRAMS, program) ? (PROGRAMS[program]?.(command.words) ?? null) : null;
  if (run === null) return null;
  // npx would look for node in the registry.
  const before = run[0] === program ? command.before : command.before.filter((word) => !RUNNER.test(word));
  // Variables would apply only to its first command.
  if (before.length > 0 && lastCommand(run[0] ?? '') !== 0) return null;
  return `${command.list}${command.list === '' ? '' : ' '}${[...before, ...run].join(' ')}`;
}

export const withoutWatcherNotice = (from: string, command: string): string =>
  `${from} watches files or goes into the background, so orkestr runs \`${command}\` instead. If the app needs another command, set startCommand.`;

const WATCHES =
  /(?:^|[\s"';&|(])(?:(?:nodemon|ts-node-dev|tsnd|node-dev)(?=[\s"']|$)|tsx watch\b|(?:node|tsx|bun|deno)\s(?:[^;&|]*\s)?--(?:watch|hot)\b)/;

/** Problems of a chosen start line in production; empty if there are none. */
export function developmentNotices({ command, from }: { readonly command: string; readonly from: string }): string[] {
  const notices: string[] = [];
  if (WATCHES.test(command)) {
    notices.push(
      `${from} watches files: after a crash it waits for one to change, and the container never exits. Set startCommand to the command for production.`,
    );
  }
  if (/\bNODE_ENV=["']?dev/.test(command)) {
    notices.push(`${from} runs the app with NODE_ENV=development. Set startCommand to the command for production.`);
  }
  return notices;
}
