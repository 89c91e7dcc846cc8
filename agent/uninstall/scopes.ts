/** Scopes of all agents that made anything on this host. Used if there is no identity. */
import { exec, run } from '../lib/exec.ts';
import type { Exec } from '../lib/exec.ts';
import type { Engine } from '../lib/engine.ts';
import { LABEL, scopesOfImage } from '../lib/labels.ts';

const TIMEOUT_MS = 15_000;
/** Enough for a host with tens of thousands of rules. */
const MAX_RULES_BYTES = 16_777_216;

/** A label of this name with any other value is somebody else's. */
const SCOPE = /^[0-9a-f]{8}$/;
/** Chains for apps, and with one more letter those for builds. */
const CHAIN = /^:ORKESTR-([0-9a-f]{8})/gm;

/** Scopes with containers, networks or images. */
export async function scopesInEngine(engine: Engine): Promise<readonly string[]> {
  const scopes = (await Promise.all([ofLabelled(engine), ofImages(engine)])).flat();
  return [...new Set(scopes)].filter((scope) => SCOPE.test(scope));
}

/** Scopes with chains in the packet filter. @throws ExecError if the chains cannot be listed */
export async function scopesInFilter(by: Exec = exec): Promise<readonly string[]> {
  const options = { timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_RULES_BYTES };
  const told = await run('iptables-save', [], options, by).catch((error: unknown) => {
    // Without the program there are no chains of ours, either.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { stdout: '' };
    throw error;
  });
  const scopes = [...told.stdout.matchAll(CHAIN)].map(([, scope = '']) => scope);
  return [...new Set(scopes)];
}

/** Names of containers of any agent. @param own scope of the agent whose containers are left out */
export async function containersOn(engine: Engine, own: string | null): Promise<readonly string[]> {
  const containers = (await labelledContainers(engine)).filter(({ Labels }) => {
    const scope = Labels[LABEL.scope] ?? '';
    return SCOPE.test(scope) && scope !== own;
  });
  return containers.map(({ Id, Names }) => Names[0]?.replace(/^\//, '') ?? Id).toSorted();
}

const filters = { label: [LABEL.scope] };

const labelledContainers = (engine: Engine) =>
  engine.call('list containers', (docker, abortSignal) => docker.listContainers({ all: true, filters, abortSignal }));

async function ofLabelled(engine: Engine): Promise<readonly string[]> {
  const networks = await engine.call('list networks', (docker, abortSignal) =>
    docker.listNetworks({ filters, abortSignal }),
  );
  return [...(await labelledContainers(engine)), ...networks].map(({ Labels }) => Labels?.[LABEL.scope] ?? '');
}

async function ofImages(engine: Engine): Promise<readonly string[]> {
  const images = await engine.call('list images', (docker, abortSignal) => docker.listImages({ abortSignal }));
  return images.flatMap(({ Labels, RepoTags }) => scopesOfImage(Labels, RepoTags));
}
