/** Detector: the repository's own Dockerfile. What it says is built as it is. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Evidence } from '../../../protocol/steps.ts';
import type { Detector } from '../detector.ts';

const DEFAULT_PATH = 'Dockerfile';

export const dockerfile: Detector = {
  name: 'dockerfile',
  frameworks: ['Dockerfile'],
  best: 'stated',

  async detect({ repository, stated: { dockerfile: named } }) {
    const path = named?.value ?? DEFAULT_PATH;
    const text = await repository.text(path);
    if (text === null) {
      if (named === undefined) return { missed: `no ${DEFAULT_PATH}` };
      throw new OrkestrError(
        'ORK_MANIFEST_INVALID',
        `${path}, the Dockerfile that is named by ${named.from}, is not there.`,
      );
    }
    const { base, baseLine, ports } = readDockerfile(text);
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
      warnings:
        more.length === 0 ? [] : [`${path} exposes several ports: set the port of the environment to one of them.`],
      dockerfile: { origin: 'repository', path, text },
    };
  },
};

interface DockerfileFacts {
  /** Image of the last stage, and its line. */
  readonly base: string | undefined;
  readonly baseLine: number;
  /** TCP ports of the last stage that are written as numbers. */
  readonly ports: readonly { port: number; line: number }[];
}

/** The few instructions that a plan needs. Their full meaning is the builder's matter. */
export function readDockerfile(text: string): DockerfileFacts {
  let base: string | undefined;
  let baseLine = 0;
  let ports: { port: number; line: number }[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const from = /^\s*FROM\s+(?:--\S+\s+)*(\S+)/i.exec(line)?.[1];
    if (from !== undefined) {
      base = from;
      baseLine = index + 1;
      ports = [];
    }
    const exposed = /^\s*EXPOSE\s+(.+)/i.exec(line)?.[1]?.split(/\s+/) ?? [];
    for (const word of exposed) {
      const port = Number(/^(\d{1,5})(?:\/tcp)?$/i.exec(word)?.[1] ?? Number.NaN);
      if (port >= 1 && port <= 65_535 && !ports.some((one) => one.port === port)) ports.push({ port, line: index + 1 });
    }
  }
  return { base, baseLine, ports };
}
