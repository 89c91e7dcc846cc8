/** Objects in Docker with our scope that no record knows: left by a crash, or by a lost journal. */
import { z } from 'zod';
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';
import { askEngine } from '../../docker/ask.ts';
import { isOurImage, LABEL, pulledNames } from '../../lib/labels.ts';
import type { EngineImage } from '../engine-facts.ts';
import { observedOf, rememberedOf } from '../observed.ts';
import { plan } from '../../reconcile/plan.ts';
import type { Subject } from '../subject.ts';

/** A container whose shim died takes the engine over 13 s to remove. */
const REMOVE_MS = 30_000;

interface Facts {
  readonly containers: readonly string[];
  readonly networks: readonly string[];
  readonly images: readonly string[];
}

export const orphans = defineCheck({
  name: 'orphans',
  about: "Every container, network and image with this agent's label is needed by a record.",
  problems: {
    container: {
      level: 'warn',
      says: 'The container {name} belongs to this agent, but no record needs it.',
      mend: 'Run `docker rm -f {name}`. A running agent does it within a minute.',
      fix: 'confirmed',
    },
    network: {
      level: 'warn',
      says: 'The network {name} belongs to this agent, but to an unknown project, and nothing is attached to it.',
      mend: 'Run `docker network rm {name}`, unless `orkestr-agent network` made it for a project that is yet to be deployed here.',
      fix: 'confirmed',
    },
    image: {
      level: 'warn',
      says: 'The image {name} belongs to this agent, but to an unknown deployment.',
      mend: 'Run `docker rmi {name}`: after that, you cannot roll back to it.',
    },
  },
  async gather(subject): Promise<Facts | null> {
    const scope = subject.scope();
    const remembered = await rememberedOf(subject);
    const journal = await subject.journal();
    if (scope === null || remembered === null || journal === null || 'unreadable' in journal) return null;
    const projects = new Set(journal.projectIds);
    const [observed, networks, images, containers] = await Promise.all([
      observedOf(subject),
      unneeded(subject, scope, projects),
      subject.engine.images(),
      subject.engine.containers(),
    ]);
    const inUse = new Set(containers.map(({ ImageID }) => ImageID));
    const deployments = new Set([...journal.deployments, ...journal.live].map(({ deploymentId }) => deploymentId));
    return {
      containers: plan(observed, remembered).flatMap((one) => (one.kind === 'remove-container' ? [one.name] : [])),
      networks,
      // After a rollback, the image of a deployment that was pruned long ago is in use again.
      images: images
        .filter((one) => isOurImage(scope, one.Labels, one.RepoTags) && !inUse.has(one.Id))
        .filter((one) => !deploymentsOf(one, scope).some((deploymentId) => deployments.has(deploymentId)))
        .map(({ Id, RepoTags }) => RepoTags?.[0] ?? Id),
    };
  },
  judge(facts) {
    if (facts === null) return { skipped: 'without identity and journal nothing can be called an orphan' };
    const { containers, networks, images } = facts;
    return {
      summary: `${containers.length} containers, ${networks.length} networks, ${images.length} images that no record needs`,
      findings: [
        ...containers.map((name) => named('container', name)),
        ...networks.map((name) => named('network', name)),
        ...images.map((name) => named('image', name)),
      ],
    };
  },
  async fix({ problem, values }, subject) {
    const name = String(values?.['name']);
    await remove(subject, problem === 'network' ? `/networks/${name}` : `/containers/${name}?force=true`);
    return `the ${problem} ${name} is removed`;
  },
});

/** Networks of ours without a known project. A container attached by somebody else, such as a database, needs its own. */
async function unneeded({ engine }: Subject, scope: string, projects: ReadonlySet<string>): Promise<readonly string[]> {
  const unknown = (await engine.networks()).filter(
    ({ Labels }) => Labels?.[LABEL.scope] === scope && !projects.has(Labels[LABEL.project] ?? ''),
  );
  const names: string[] = [];
  for (const { Name } of unknown) if (!(await engine.isAttached(Name))) names.push(Name);
  return names;
}

const named = <P extends string>(problem: P, name: string): Finding<P> => ({ problem, values: { name } });

async function remove({ config }: Subject, path: string): Promise<void> {
  await askEngine(config.dockerSocket, { path, method: 'DELETE', schema: z.unknown(), deadlineMs: REMOVE_MS });
}

/** Deployments that built or pulled an image. */
const deploymentsOf = ({ Labels, RepoTags }: EngineImage, scope: string): readonly string[] => [
  Labels?.[LABEL.deployment] ?? '',
  ...pulledNames(scope, RepoTags).map((name) => name.slice(name.lastIndexOf(':') + 1)),
];
