/** The programs of an unpacked release as one host runs them, with all their state in one folder. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFirewall } from '../../agent/firewall/firewall.ts';
import { readIdentity, scopeOf } from '../../agent/identity/identity.ts';
import { mustRun } from '../stack/run-program.ts';
import { Service } from '../stack/service.ts';

export type ProgramName = 'orkestr' | 'orkestr-agent' | 'orkestr-hub' | 'orkestr-proxy';
type Argv = readonly [string, ...string[]];

const Setup = z.object({ token: z.string() });
const Added = z.object({ joinToken: z.string() });

interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
}

export class ReleasedHost {
  readonly env: NodeJS.ProcessEnv;
  readonly #folder: string;
  readonly #agentState: string;
  readonly #argvOf: (name: ProgramName) => Argv;

  /** @param argvOf how a program of the release is run: by its path, or behind another program that runs it */
  constructor(folder: string, argvOf: (name: ProgramName) => Argv) {
    const runFolder = join(folder, 'run');
    mkdirSync(runFolder);
    this.#folder = folder;
    this.#agentState = join(folder, 'agent');
    this.#argvOf = argvOf;
    this.env = {
      PATH: process.env['PATH'],
      HOME: folder,
      ORKESTR_HUB_STATE: join(folder, 'hub'),
      ORKESTR_HUB_LISTEN: '127.0.0.1:0',
      ORKESTR_PROXY_LISTEN: '127.0.0.1:0',
      ORKESTR_PROXY_STATE: join(folder, 'proxy'),
      ORKESTR_PROXY_SOCKET: join(runFolder, 'proxy.sock'),
      ORKESTR_AGENT_STATE: this.#agentState,
      ORKESTR_AGENT_RUN: runFolder,
    };
  }

  argv(name: ProgramName, ...args: readonly string[]): Argv {
    return [...this.#argvOf(name), ...args];
  }

  /** Runs a program and returns its output. @throws OrkestrError ORK_PREPARE_FAILED */
  run(name: ProgramName, args: readonly string[], { env, input }: RunOptions = {}): Promise<string> {
    const options = { env: { ...this.env, ...env }, ...(input !== undefined && { input }) };
    return mustRun(name, this.argv(name, ...args), options);
  }

  /** Starts its `serve`; the caller stops it. */
  serve(name: ProgramName): Promise<Service> {
    const logFile = join(this.#folder, `${name}.log`);
    return Service.start({ name, argv: this.argv(name, 'serve'), env: this.env, logFile });
  }

  /** Sets the hub up and enrols the agent. @returns the token of its first user */
  async join(hub: string): Promise<string> {
    const setup = await this.run('orkestr-hub', ['setup', '--email', 'owner@localhost', '--team', 'Owners', '--json']);
    const { token } = Setup.parse(JSON.parse(setup));
    const env = { ORKESTR_URL: hub, ORKESTR_TOKEN: token };
    const { joinToken } = Added.parse(
      JSON.parse(await this.run('orkestr', ['hosts', 'add', 'one', '--json'], { env })),
    );
    await this.run('orkestr-agent', ['join', '--hub', hub, '--token', '-'], { input: joinToken });
    return token;
  }

  /** Removes the firewall rules of its agent, which a stopped agent leaves in place: they still isolate its apps. */
  async removeRules(): Promise<void> {
    const identity = readIdentity(this.#agentState);
    if (identity) await makeFirewall({ scope: scopeOf(identity.hostId) }).remove();
  }
}
