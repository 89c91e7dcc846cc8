/** Detector: the repository's own Dockerfile. What it says is built as it is. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Evidence } from '../../../protocol/steps.ts';
import type { Detector } from '../detector.ts';
import { volumeWarning } from '../../lib/volumes.ts';
import { firstFile } from '../repository.ts';
import { capabilityWarning } from '../root-images.ts';

/** The first that is there; the second is another spelling to docker too, the third is podman's. */
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
          : [`${path} exposes several ports: set the port of the environment to one of them.`]),
        ...capabilityWarning({ base: image, user }, capabilities),
        ...(stage.volumeLine === undefined ? [] : [volumeWarning(`${path} line ${stage.volumeLine} has a VOLUME`)]),
      ],
      dockerfile: { origin: 'repository', path, text },
    };
  },
};

interface Stage {
  /** TCP ports that are written as numbers, each with its line. */
  readonly ports: Map<number, number>;
  /** Image from outside that it is made from in the end, and the line that says so. */
  readonly image: string;
  readonly imageLine: number;
  /** Who runs it, where a stage says so. */
  user: string | undefined;
  /** Of its first VOLUME, or of the stage that it is made from. */
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
 * The few instructions that a plan needs, of the stage that is built. Their full meaning is the builder's matter, and so is a
 * target that is not there. Undefined without any stage.
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

/** Where here-documents may begin, `RUN <<EOF`: at the begin of a word, which tells them from a shift. */
const HERE_DOCUMENT = /(?<=\s)\d*<<(-?)["']?([A-Za-z_]\w*)["']?/g;

/** As many lines, those of files and scripts that stand in the Dockerfile itself empty. */
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
      // In quotes it may be none: one that ends nowhere.
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
