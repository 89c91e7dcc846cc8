/** The folder `.orkestr/`: holds everything of `npm start`, and what it remembers from one run to the next. */
import {
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { Port } from '../../protocol/ids.ts';
import { identify, isAlive, ProcessIdentity } from '../stack/process-identity.ts';

const Memory = z.object({
  /** Fixed at the first start: the agent is enrolled with the hub's address. */
  hubPort: Port.optional(),
  proxyPort: Port.optional(),
  /** `begun` before the hub is asked for its first admin, `done` once the token is stored. */
  setup: z.enum(['begun', 'done']).optional(),
});
type Memory = z.infer<typeof Memory>;

export const Credentials = z.object({ email: z.string(), token: z.string() });
export type Credentials = z.infer<typeof Credentials>;

export class Home {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** Whether it holds nothing, or an installation: `--reset` removes all of it. */
  get isOurs(): boolean {
    return !existsSync(this.folder) || readdirSync(this.folder).length === 0 || existsSync(this.path('start.json'));
  }

  make(): void {
    mkdirSync(this.path('logs'), { recursive: true, mode: 0o700 });
  }

  memory(): Memory {
    return existsSync(this.path('start.json')) ? Memory.parse(readJson(this.path('start.json'))) : {};
  }

  remember(change: Memory): void {
    writeWhole(this.path('start.json'), { ...this.memory(), ...change });
  }

  credentials(): Credentials | null {
    const file = this.path('credentials.json');
    return existsSync(file) ? Credentials.parse(readJson(file)) : null;
  }

  keepCredentials(credentials: Credentials): void {
    writeWhole(this.path('credentials.json'), credentials);
  }

  /** Whether an `npm start` is running in this folder. */
  isLocked(): boolean {
    const holder = readHolder(this.path('launcher.json'));
    return holder !== null && isAlive(holder);
  }

  /**
   * Makes this process the only one that works on the folder. Takes over the lock of a process that is gone.
   * @returns releases the lock
   * @throws OrkestrError ORK_ALREADY_RUNNING
   */
  lock(): () => void {
    const file = this.path('launcher.json');
    const own = identify(process.pid);
    for (let attempt = 0; ; attempt += 1) {
      try {
        const handle = openSync(file, 'wx', 0o600);
        writeFileSync(handle, JSON.stringify(own));
        closeSync(handle);
        return () => rmSync(file, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === 5) throw error;
      }
      if (this.isLocked()) {
        throw new OrkestrError(
          'ORK_ALREADY_RUNNING',
          `npm start is already running here, as process ${readHolder(file)?.pid}.`,
        );
      }
      rmSync(file, { force: true });
    }
  }
}

/** Null for a lock whose writer was interrupted before it wrote its identity. */
function readHolder(file: string): ProcessIdentity | null {
  try {
    return ProcessIdentity.parse(readJson(file));
  } catch {
    // Empty or gone: nobody holds the lock.
    return null;
  }
}

const readJson = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));

/** Replaces the file atomically, by a rename. */
function writeWhole(file: string, value: unknown): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
