/**
 * For tests: the API on a real port with a real database; the other parts of the hub are fakes that record calls or
 * throw.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { request } from 'undici';
import type { Dispatcher } from 'undici';
import { makeSealer } from '../../protocol/sealing.ts';
import { makeLogger } from '../../protocol/service/logger.ts';
import { makeKeyPair } from '../../protocol/signing.ts';
import { buildApp, type ServedFiles } from '../app.ts';
import { readConfig } from '../config.ts';
import type {
  Agents,
  CommitResolver,
  CoreDeps,
  GitRemotes,
  HubDeps,
  News,
  Notifier,
  Part,
  Scheduler,
  Upgrades,
  Uptime,
} from '../deps.ts';
import type { PlanKey } from '../plans.ts';
import { createAccount } from '../setup.ts';
import type { Account } from '../setup.ts';
import { openDatabase, type Db } from '../store/database.ts';
import { deleteEnvironment } from '../store/environments.ts';
import { deleteProject } from '../store/projects.ts';
import { watchPlans } from '../store/test-plans.ts';
import { API_PREFIX } from './paths.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly text: string;
  /** The body as JSON; throws when it is not JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of any shape
  readonly json: any;
}

export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TestApi {
  readonly url: string;
  readonly server: Server;
  readonly deps: HubDeps;
  /** Calls to the fakes: "removeEnvironment ID", "disconnect ID", "createRepository ID", ... in order. */
  readonly asked: string[];
  /** Calls that the fakes must fail, in the same notation as `asked`. */
  readonly failing: Set<string>;
  /** Hosts that are online. */
  readonly online: Set<string>;
  /** Lets time pass, ms. */
  pass(ms: number): void;
  account(team: string, plan?: PlanKey): Promise<Account>;
  /** A request to any path of the hub. */
  fetch(call: Call): Promise<Answer>;
  /** A request below /api/v1 with a bearer token. */
  call(token: string, method: string, path: string, body?: unknown): Promise<Answer>;
}

const NO_FILES: ServedFiles = {
  consoleFolder: join(tmpdir(), 'no-console-is-here'),
  docsFolder: join(tmpdir(), 'no-docs-are-here'),
  cliFile: join(tmpdir(), 'no-cli-is-here'),
};

/** Stops with the test. */
export async function startTestApi(
  t: TestContext,
  env: Readonly<Record<string, string>> = {},
  files: Partial<ServedFiles> = {},
): Promise<TestApi> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-api-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const db = await openDatabase(join(folder, 'hub.sqlite'));
  const watched = watchPlans(db);
  const asked: string[] = [];
  const failing = new Set<string>();
  const online = new Set<string>();
  let offset = 0;
  const deps: HubDeps = {
    db,
    sealer: makeSealer(Buffer.alloc(32, 7)),
    config: readConfig({ ORKESTR_HUB_STATE: folder, ...env }),
    clock: { now: () => new Date(Date.UTC(2030, 0, 1) + offset) },
    uptime: unscripted<Uptime>('uptime', {}),
    log: makeLogger('hub', 'silent'),
    hubKey: makeKeyPair(),
    hubUrl: () => deps.config.publicUrl ?? url,
    ...fakes(db, { asked, failing, online }),
  };
  const app = await buildApp({ ...deps, db: watched.db }, { ...NO_FILES, ...files });
  t.after(async () => {
    await app.close();
    const slow = await watched.slow();
    await db.destroy();
    assert.deepEqual(slow, [], 'statements that take longer by the day');
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const fetch = async ({ method = 'GET', path, body, token, headers }: Call): Promise<Answer> => {
    const response = await request(url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.body.text();
    return {
      status: response.statusCode,
      headers: response.headers,
      text,
      get json() {
        return JSON.parse(text);
      },
    };
  };
  return {
    url,
    server: app.server,
    deps,
    asked,
    failing,
    online,
    pass: (ms) => void (offset += ms),
    account: (team, plan = 'pro') => createAccount(deps.db, deps.clock, { email: `${team}@example.com`, team, plan }),
    fetch,
    call: (token, method, path, body) => fetch({ method, path: API_PREFIX + path, body, token }),
  };
}

function fakes(
  db: Db,
  { asked, failing, online }: Pick<TestApi, 'asked' | 'failing' | 'online'>,
): Omit<HubDeps, keyof CoreDeps> {
  const note = (what: string, id: string): Promise<void> => {
    const line = `${what} ${id}`;
    asked.push(line);
    return failing.has(line) ? Promise.reject(new Error(`${line} fails`)) : Promise.resolve();
  };
  return {
    scheduler: unscripted<Scheduler>('scheduler', {
      async removeEnvironment(id) {
        await note('removeEnvironment', id);
        await deleteEnvironment(db, id);
      },
      edgeChanged: (id) => note('edgeChanged', id),
      async removeProject(id) {
        await note('removeProject', id);
        await deleteProject(db, id);
      },
    }),
    agents: unscripted<Agents>('agents', {
      isOnline: (id) => online.has(id),
      peer: () => undefined,
      refusal: () => undefined,
      disconnect: (id) => void note('disconnect', id),
      readAppLog(id) {
        void note('readAppLog', id);
        return { next: async () => null, close: () => undefined };
      },
    }),
    git: unscripted<GitRemotes>('git', {
      createRepository: (id) => note('createRepository', id),
      removeRepository: (id) => note('removeRepository', id),
      handle: (request, response) => void response.end(`git ${request.url}`),
    }),
    resolver: unscripted<CommitResolver>('resolver', {}),
    news: unscripted<News>('news', {}),
    upgrades: unscripted<Upgrades>('upgrades', {}),
    notifier: unscripted<Notifier>('notifier', { test: ({ id }) => note('test', id) }),
    hostWatch: unscripted<Part>('hostWatch', {}),
  };
}

/** `scripted` as a complete `T` that throws on any other call. */
function unscripted<T extends object>(name: string, scripted: Partial<T>): T {
  return new Proxy(scripted as T, {
    get(target, property, receiver) {
      if (property in target) return Reflect.get(target, property, receiver);
      throw new Error(`${name}.${String(property)} was not expected.`);
    },
  });
}
