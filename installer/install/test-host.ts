/** install.sh on a host that is a folder: its parts are real; programs that touch the machine are scripted. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { installerText } from '../release/installer-text.ts';
import type { InstallerFacts } from '../release/installer-text.ts';
import { runProgram } from '../stack/run-program.ts';
import { ROOT } from '../stack/stack.ts';

/** What a program prints on standard output, or how else it ends. */
type Answer = string | { readonly code: number; readonly stdout?: string; readonly stderr?: string };
/** By arguments, `*` for any: the answer, or one per call, of which the last is repeated. */
type Script = Readonly<Record<string, Answer | readonly Answer[]>>;

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Real programs, which work only on text and on files named to them. */
const HARMLESS = (
  'awk cat chmod cmp cp date dirname env grep head ln ls mkdir mktemp mv paste printf readlink rm sed sh sort stat sync ' +
  'tail tr uname wc sha256sum'
).split(' ');
const FOLDERS = /^((?:\w+_FOLDER|ENGINE_SETTINGS)=)(?=\/)/gm;
const LAST_LINE = /^main "\$@"\n$/m;
const FACTS: InstallerFacts = {
  RELEASE_VERSION: '1.2.0',
  RELEASE_KEY: 'key',
  RELEASE_URL: 'https://releases.example.com',
  RELEASE_SUMS_SHA256: '',
};

export class ScriptedHost {
  readonly root: string;
  readonly #programs: string;

  constructor(t: TestContext) {
    this.root = mkdtempSync(join(tmpdir(), 'ork-install-test-'));
    t.after(() => rmSync(this.root, { recursive: true, force: true }));
    this.#programs = join(this.root, 'programs');
    for (const folder of ['programs', 'tmp', 'etc/orkestr', 'run/orkestr'])
      mkdirSync(join(this.root, folder), { recursive: true });
    for (const name of HARMLESS) symlinkSync(this.#find(name), join(this.#programs, name));
    this.program('id', { '-u': '0\n' });
  }

  /** A call that the script does not contain fails the test. */
  program(name: string, script: Script): void {
    const cases = Object.entries(script).map(([args, answers]) => {
      const list = Array.isArray(answers) ? (answers as readonly Answer[]) : [answers as Answer];
      const each = list.map((answer, index) => `${index === list.length - 1 ? '*' : index + 1}) ${replyOf(answer)} ;;`);
      return `${args === '*' ? '*' : quoted(args)}) case $nth in ${each.join('\n')} esac ;;`;
    });
    const call = `"${name} $*"`;
    this.#write(
      name,
      `printf '%s\\n' ${call} >>${quoted(this.#callsFile)}
nth=$(grep -cxF -- ${call} ${quoted(this.#callsFile)})
case "$*" in
${cases.join('\n')}
*) printf '%s\\n' ${call} >>${quoted(this.#strayFile)}; exit 99 ;;
esac`,
    );
  }

  /** A program given as shell lines, for answers that depend on its input. */
  programText(name: string, lines: string): void {
    this.#write(name, lines);
  }

  file(path: string, text: string, mode = 0o600): void {
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    chmodSync(full, mode);
  }

  read(path: string): string {
    return readFileSync(join(this.root, path), 'utf8');
  }

  /** Calls of scripted programs so far, in order. */
  calls(): string[] {
    return existsSync(this.#callsFile) ? readFileSync(this.#callsFile, 'utf8').trimEnd().split('\n') : [];
  }

  /**
   * Reads `options` like install.sh, then runs `commands` in place of its main function.
   * @throws AssertionError if a program was called in a way that its script does not contain
   */
  async run(commands: string, ...options: string[]): Promise<Run> {
    const ran = await this.runBare(`read_options "$@"\n${commands}`, ...options);
    const stray = existsSync(this.#strayFile) ? readFileSync(this.#strayFile, 'utf8') : '';
    assert.equal(stray, '', 'calls that are not scripted');
    return ran;
  }

  /** Does not read options; `env` is added to its PATH. */
  async runBare(commands: string, ...options: string[]): Promise<Run> {
    const script = join(this.root, 'install.sh');
    const text = installerText(ROOT, FACTS).replace(FOLDERS, (name) => `${name}${this.root}`);
    assert.match(text, LAST_LINE);
    writeFileSync(
      script,
      text.replace(LAST_LINE, () => `${commands}\n`),
    );
    const env = { PATH: this.#programs, TMPDIR: join(this.root, 'tmp') };
    return runProgram(['/bin/sh', script, ...options], { env, timeoutMs: 20_000 });
  }

  get #callsFile(): string {
    return join(this.root, 'calls');
  }

  get #strayFile(): string {
    return join(this.root, 'stray-calls');
  }

  #find(name: string): string {
    const found = ['/usr/bin', '/bin'].map((folder) => join(folder, name)).find((path) => existsSync(path));
    assert.ok(found, `this machine has no ${name}`);
    return found;
  }

  #write(name: string, lines: string): void {
    const path = join(this.#programs, name);
    // It may be a link to the real program.
    rmSync(path, { force: true });
    writeFileSync(path, `#!/bin/sh\n${lines}\n`);
    chmodSync(path, 0o755);
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function replyOf(answer: Answer): string {
  const { code, stdout = '', stderr = '' } = typeof answer === 'string' ? { code: 0, stdout: answer } : answer;
  return `printf %s ${quoted(stdout)}; printf %s ${quoted(stderr)} >&2; exit ${code}`;
}
