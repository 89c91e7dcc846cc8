/** What a build can do to its host, how each must end, with limits low enough that it takes seconds. */
import { cp, mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { engineMemoryBytes } from '../../agent/sandbox/cgroup/shares.ts';
import { FLOODED } from '../../agent/sandbox/build/limits.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { BuildLimits } from '../../protocol/job.ts';
import { MIB } from '../../protocol/size.ts';
import type { Sight } from './sight.ts';

const FILES = 300_000;
const FILES_PER_FOLDER = 10_000;
const FORK_BOMB = 'f(){ f | f & }; f; while :; do sleep 1; done';
const ENDLESS = 'trap "" TERM; sleep 98761 & while :; do sleep 1; done';
const MANY_FILES = 'mkdir /i && cd /i && seq 1000000 | xargs -n 2000 touch; while :; do sleep 1; done';

const VITE_APP = new URL('../fixtures/apps/vite-static', import.meta.url);

export interface Case {
  readonly name: string;
  /** The error it ends with; null: it succeeds. */
  readonly code: ErrorCode | null;
  readonly limits: Partial<BuildLimits>;
  readonly dockerfile: readonly string[];
  /** Whether the build is at its limit now; absent: from its beginning. */
  readonly atLimit?: (sight: Sight, limits: BuildLimits) => boolean;
  /** Cancel it after this long, ms. */
  readonly cancelAfterMs?: number;
  /** Creates its build context in a folder. */
  readonly context?: (folder: string) => Promise<void>;
}

const from = (command: string): readonly string[] => ['FROM debian:trixie-slim', `RUN ${command}`];
const bash = (script: string): readonly string[] => [
  'FROM debian:trixie-slim',
  `RUN ["bash", "-c", ${JSON.stringify(script)}]`,
];

export const CASES: readonly Case[] = [
  {
    name: 'ordinary build',
    code: null,
    limits: { memoryMiB: 1024 },
    dockerfile: ['FROM node:26-trixie-slim', 'WORKDIR /app', 'COPY . .', 'RUN npm ci', 'RUN npm run build'],
    context: (folder) => cp(VITE_APP, folder, { recursive: true }),
  },
  {
    name: 'memory bomb',
    code: 'ORK_BUILD_MEMORY',
    limits: { memoryMiB: 256 },
    // It hides each kill and continues.
    dockerfile: bash('while :; do tail /dev/zero; done'),
    atLimit: ({ oomKills }) => oomKills > 0,
  },
  {
    name: 'fork bomb',
    code: 'ORK_BUILD_PROCESSES',
    limits: { pids: 512 },
    dockerfile: bash(FORK_BOMB),
    atLimit: ({ processes, refusedForks }, { pids }) => processes >= pids || refusedForks > 0,
  },
  {
    name: 'disk fill',
    code: 'ORK_BUILD_DISK',
    limits: { diskMiB: 512 },
    dockerfile: from('cat /dev/zero > /fill'),
    atLimit: ({ diskBytes }, { diskMiB }) => diskBytes >= diskMiB * MIB * 0.99,
  },
  {
    name: 'inode fill',
    code: 'ORK_BUILD_INODES',
    limits: { inodes: 60_000 },
    dockerfile: bash(MANY_FILES),
    atLimit: ({ inodes }, limits) => inodes >= limits.inodes * 0.99,
  },
  {
    name: 'log flood',
    code: 'ORK_BUILD_LOG',
    limits: { logMiB: 16 },
    dockerfile: from('yes 0123456789abcdef0123456789abcdef'),
    // If the agent reads slowly, the engine fills up first.
    atLimit: ({ logBytes, engineBytes }, limits) =>
      logBytes >= limits.logMiB * MIB * 0.99 || engineBytes >= engineMemoryBytes(limits) * FLOODED,
  },
  {
    name: 'endless build',
    code: 'ORK_BUILD_TIMEOUT',
    limits: { timeoutSeconds: 6 },
    dockerfile: bash(ENDLESS),
    atLimit: ({ elapsedMs }, { timeoutSeconds }) => elapsedMs >= timeoutSeconds * 1000,
  },
  {
    name: 'huge context: files',
    code: 'ORK_CONTEXT_TOO_LARGE',
    limits: { contextFiles: 20_000 },
    dockerfile: ['FROM debian:trixie-slim', 'COPY . /app'],
    async context(folder) {
      for (let made = 0; made < FILES; made += FILES_PER_FOLDER) {
        const below = join(folder, `d${made}`);
        await mkdir(below);
        await Promise.all(
          Array.from({ length: FILES_PER_FOLDER }, (_, index) => writeFile(join(below, `${index}`), '')),
        );
      }
    },
  },
  {
    name: 'huge context: bytes',
    code: 'ORK_CONTEXT_TOO_LARGE',
    limits: { contextMiB: 100 },
    dockerfile: ['FROM debian:trixie-slim', 'COPY . /app'],
    async context(folder) {
      await writeFile(join(folder, 'video.bin'), '');
      await truncate(join(folder, 'video.bin'), 10 * 1024 * MIB);
    },
  },
  {
    name: 'image too large',
    code: 'ORK_IMAGE_TOO_LARGE',
    limits: { imageMiB: 200 },
    dockerfile: from('head -c 300000000 /dev/urandom > /large'),
    atLimit: ({ diskBytes }) => diskBytes >= 290_000_000,
  },
  {
    name: 'cancel',
    code: 'ORK_CANCELLED',
    limits: {},
    dockerfile: bash(ENDLESS),
    cancelAfterMs: 4000,
  },
];

/** Run at the same time, one in each of four slots. */
export const TOGETHER = ['memory bomb', 'fork bomb', 'disk fill', 'log flood'] as const;
