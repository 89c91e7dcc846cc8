/** First admin and first host: they make three processes one installation. Interrupted parts can be repeated. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Host, MadeHost } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import type { Client } from '../../hub/cli/client.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { mustRun } from './run-program.ts';
import { agentArgv, agentEnv, agentState, hubEnv, ourProgram } from './stack.ts';
import type { StackPlan } from './stack.ts';

const SetupAnswer = z.object({ token: z.string().min(1) });

/** Creates the first user and team. @returns its admin token, which the hub shows only once. */
export async function setUpHub(plan: StackPlan, who: { email: string; team: string }): Promise<string> {
  const output = await mustRun(
    'hub setup',
    [...ourProgram('hub/main.ts'), 'setup', '--email', who.email, '--team', who.team, '--json'],
    { env: hubEnv(plan) },
  );
  // Log lines may precede the answer, which is the last line.
  return SetupAnswer.parse(JSON.parse(output.trim().split('\n').at(-1) ?? '')).token;
}

export const isEnrolled = (plan: StackPlan): boolean => existsSync(join(agentState(plan), 'identity.json'));

/**
 * Enrols this machine's agent as `name`. If a host of that name exists, an earlier run was interrupted after it created
 * the host, or after it enrolled without getting the response: the host gets a new join token.
 */
export async function enrolHost(client: Client, plan: StackPlan, name: string): Promise<void> {
  const hosts = await client.get('/hosts', z.array(Host));
  const begun = hosts.find((host) => host.name === name);
  const { joinToken } = begun
    ? await client.post(`${apiPath('hosts', begun.id)}/join-token`, {}, MadeHost)
    : await client.post('/hosts', { name }, MadeHost);
  await mustRun('orkestr-agent join', [...agentArgv(), 'join', '--hub', client.url, '--token', '-', '--name', name], {
    env: agentEnv(plan),
    input: joinToken,
  });
}

/**
 * Returns the team's first host once the hub sees it online.
 * @throws OrkestrError ORK_HOST_OFFLINE after `timeoutMs`
 */
export async function waitForHost(client: Client, timeoutMs = 30_000): Promise<Host> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const host = (await client.get('/hosts', z.array(Host))).find(({ online }) => online);
    if (host) return host;
    if (performance.now() > deadline) {
      throw new OrkestrError('ORK_HOST_OFFLINE', `The agent did not reach the hub in ${timeoutMs / 1000} s.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
