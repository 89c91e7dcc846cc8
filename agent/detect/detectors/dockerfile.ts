/** Detector: the repository's own Dockerfile. What it says is built as it is. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Evidence } from '../../../protocol/steps.ts';
import type { Detector } from '../detector.ts';
import { capabilityWarning } from '../root-images.ts';

const DEFAULT_PATH = 'Dockerfile';

export const dockerfile: Detector = {
  name: 'dockerfile',
  frameworks: ['Dockerfile'],
  best: 'stated',

  async detect({ repository, capabilities, stated: { dockerfile: named, target } }) {
    const path = named?.value ?? DEFAULT_PATH;
    const text = await repository.text(path);
    if (text === null) {
      if (named === undefined) return { missed: `no ${DEFAULT_PATH}` };
      throw new OrkestrError(
        'ORK_MANIFEST_INVALID',
        `${path}, the Dockerfile that is named by ${named.from}, is not there.`,
      );
    }
    const { base, baseLine, ports, origin } = readDockerfile(text);
    if (base === undefined) throw new OrkestrError('ORK_MANIFEST_INVALID', `${path} has no FROM line.`);
    const evidence: Evidence[] = [
      { subject: 'framework', value: 'Dockerfile', from: named?.from ?? path },
      { subject: 'runtime', value: base, from: `${path} line ${baseLine}` },
    ];
    const [exposed, ...more] = ports;
    const only = more.length === 0 ? exposed : undefined;
    if (only) evidence.push({ subject: 'port', value: String(only.port), from: `${path} line ${only.line}` });
    return {
      confidence: 'stated',
      facts: { framework: 'Dockerfile', runtime: 'dockerfile', ...(only && { port: only.port }) },
      evidence,
      warnings: [
        ...(more.length === 0
          ? []
          : [`${path} exposes several ports: set the port of the environment to one of them.`]),
        // Another stage than the last may be of another image.
        ...(target === undefined ? capabilityWarning(origin, capabilities) : []),
      ],
      dockerfile: { origin: 'repository', path, text },
    };
  },
};

interface DockerfileFacts {
  /** What the last stage is made from, and its line. */
  readonly base: string | undefined;
  readonly baseLine: number;
  /** TCP ports of the last stage that are written as numbers. */
  readonly ports: readonly { port: number; line: number }[];
  /** Image from outside that the last stage is made from in the end, and who runs it, where a stage says so. */
  readonly origin: Origin;
}

interface Origin {
  readonly base: string;
  readonly user: string | undefined;
}

/** The few instructions that a plan needs. Their full meaning is the builder's matter. */
export function readDockerfile(text: string): DockerfileFacts {
  const stages = new Map<string, Origin>();
  let base: string | undefined;
  let name: string | undefined;
  let baseLine = 0;
  let ports: { port: number; line: number }[] = [];
  let origin: Origin = { base: '', user: undefined };
  for (const [index, line] of text.split('\n').entries()) {
    const [, from, as] = /^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/i.exec(line) ?? [];
    if (from !== undefined) {
      if (name !== undefined) stages.set(name, origin);
      base = from;
      baseLine = index + 1;
      ports = [];
      name = as?.toLowerCase();
      origin = stages.get(from.toLowerCase()) ?? { base: from, user: undefined };
    }
    origin = { ...origin, user: /^\s*USER\s+(\S+)/i.exec(line)?.[1] ?? origin.user };
    for (const port of exposedBy(line))
      if (!ports.some((one) => one.port === port)) ports.push({ port, line: index + 1 });
  }
  return { base, baseLine, ports, origin };
}

function exposedBy(line: string): number[] {
  const words = /^\s*EXPOSE\s+(.+)/i.exec(line)?.[1]?.split(/\s+/) ?? [];
  return words
    .map((word) => Number(/^(\d{1,5})(?:\/tcp)?$/i.exec(word)?.[1] ?? Number.NaN))
    .filter((port) => port >= 1 && port <= 65_535);
}
