/** Detector: the repository's own Dockerfile, built as it is. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Evidence } from '../../../protocol/steps.ts';
import type { Detector } from '../detector.ts';
import { volumeWarning } from '../../lib/volumes.ts';
import { firstFile } from '../repository.ts';
import { capabilityWarning } from '../root-images.ts';

/** The first that exists; docker also accepts the second, and podman the third. */
const DEFAULT_PATHS = ['Dockerfile', 'dockerfile', 'Containerfile'];

export const dockerfile: Detector = {
  name: 'dockerfile',
  frameworks: ['Dockerfile'],
  best: 'stated',

  async detect({ repository, capabilities, stated: { dockerfile: named, target } }) {
    const file = await firstFile(repository, named === undefined ? DEFAULT_PATHS : [named.value]);
    if (file === null) {
      if (named === undefined) return { missed: 'no Dockerfile' };
      throw new OrkestrError(
        'ORK_MANIFEST_INVALID',
        `${named.value}, the Dockerfile named by ${named.from}, does not exist.`,
      );
    }
    const { path, text } = file;
    const stage = readDockerfile(text, target?.value);
    if (stage === undefined) throw new OrkestrError('ORK_MANIFEST_INVALID', `${path} has no FROM line.`);
    const { image, imageLine, user } = stage;
    const evidence: Evidence[] = [
      { subject: 'framework', value: 'Dockerfile', from: named?.from ?? path },
      { subject: 'runtime', value: image, from: `${path} line ${imageLine}` },
    ];
    const [exposed, ...more] = stage.ports;
    const [port, line] = more.length === 0 ? (exposed ?? []) : [];
    if (port !== undefined) evidence.push({ subject: 'port', value: String(port), from: `${path} line ${line}` });
    return {
      confidence: 'stated',
      facts: { framework: 'Dockerfile', runtime: 'dockerfile', ...(port !== undefined && { port }) },
      evidence,
      warnings: [
        ...(more.length === 0
          ? []
          : [`${path} exposes several ports. Set the port of the environment to one of them.`]),
        ...capabilityWarning({ base: image, user }, capabilities),
        ...(stage.volumeLine === undefined ? [] : [volumeWarning(`${path} line ${stage.volumeLine} has a VOLUME`)]),
      ],
      dockerfile: { origin: 'repository', path, text },
    };
  },
};

interface Stage {
  /** TCP ports given as numbers, each with its line. */
  readonly ports: Map<number, number>;
  /** The external image that it is ultimately based on, and the line that names it. */
  readonly image: string;
  readonly imageLine: number;
  /** The user, if a stage sets one. */
  user: string | undefined;
  /** Line of its first VOLUME, or of an inherited one. */
  volumeLine: number | undefined;
}

type Inherited = Omit<Stage, 'ports'>;
const fromOutside = (image: string, imageLine: number): Inherited => ({
  image,
  imageLine,
  user: undefined,
  volumeLine: undefined,
});

/**
 * Reads the few instructions that a plan needs, from the stage to build. Everything else is left to the builder,
 * including an unknown target. Undefined if there is no stage.
 */
function readDockerfile(text: string, target: string | undefined): Stage | undefined {
  const stages: Stage[] = [];
  const named = new Map<string, Stage>();
  for (const [index, line] of withoutHereDocuments(text.split(/\r?\n/)).entries()) {
    const [, base, as] = /^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/i.exec(line) ?? [];
    if (base !== undefined) {
      const inherited = named.get(base.toLowerCase()) ?? fromOutside(base, index + 1);
      const stage = { ...inherited, ports: new Map<number, number>() };
      stages.push(stage);
      if (as !== undefined) named.set(as.toLowerCase(), stage);
    }
    const stage = stages.at(-1);
    if (stage !== undefined) takeLine(stage, line, index + 1);
  }
  const wanted = target === undefined ? undefined : (named.get(target.toLowerCase()) ?? stages[Number(target)]);
  return wanted ?? stages.at(-1);
}

/** Start of a here-document, `RUN <<EOF`: only at the start of a word, unlike a shift operator. */
const HERE_DOCUMENT = /(?<=\s)\d*<<(-?)["']?([A-Za-z_]\w*)["']?/g;

/** Blanks the lines of here-documents, so that line numbers do not change. */
function withoutHereDocuments(lines: readonly string[]): string[] {
  const written = new Set(lines.map(withoutTabs));
  let open: { readonly dash: string; readonly name: string }[] = [];
  let goesOn = false;
  return lines.map((line) => {
    const current = open.at(-1);
    if (current !== undefined) {
      if ((current.dash === '' ? line : withoutTabs(line)) === current.name) open.pop();
      return '';
    }
    if (goesOn || /^\s*(?:RUN|COPY|ADD)\s/i.test(line)) {
      const begun = [...line.matchAll(HERE_DOCUMENT)].map(([, dash = '', name = '']) => ({ dash, name }));
      // Quoted text may look like one: then there is no terminator.
      open = begun.filter(({ name }) => written.has(name)).toReversed();
    }
    goesOn = line.endsWith('\\');
    return line;
  });
}

const withoutTabs = (line: string): string => line.replace(/^\t+/, '');

function takeLine(stage: Stage, line: string, number: number): void {
  if (/^\s*VOLUME\s/i.test(line)) stage.volumeLine ??= number;
  stage.user = /^\s*USER\s+(\S+)/i.exec(line)?.[1] ?? stage.user;
  for (const port of exposedBy(line)) if (!stage.ports.has(port)) stage.ports.set(port, number);
}

function exposedBy(line: string): number[] {
  const words = /^\s*EXPOSE\s+(.+)/i.exec(line)?.[1]?.split(/\s+/) ?? [];
  return words
    .map((word) => Number(/^(\d{1,5})(?:\/tcp)?$/i.exec(word)?.[1] ?? Number.NaN))
    .filter((port) => port >= 1 && port <= 65_535);
}
