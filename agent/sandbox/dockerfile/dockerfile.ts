/** What must be known of a Dockerfile before it is built, and the text that is built instead of it. */
import { OrkestrError } from '../../../protocol/errors.ts';
import { checkFeatures, HERE_DOCUMENTS, isOlder } from './features.ts';
import { externalImages, stageNames } from './images.ts';
import { type Instruction, readInstructions } from './instructions.ts';
import { checkSecrets, type Replacement, readMounts, type SecretUse } from './mounts.ts';
import { exportSecrets } from './secret-exports.ts';
import { stripSyntax } from './syntax.ts';

export interface DockerfileRequest {
  readonly text: string;
  /** A generated one gives every secret to the commands of install and build; one of the repository says itself. */
  readonly origin: 'repository' | 'generated';
  /** Version of the engine that will build it: "20.10.24". */
  readonly engineVersion: string;
  /** Its architecture as Go names it: "amd64". */
  readonly architecture: string;
  /** Caches and secrets are of this environment alone. */
  readonly environmentId: string;
  /** Names of the build secrets that are set. */
  readonly secrets: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Stage to build, by name or number; absent: the last. */
  readonly target?: string | undefined;
}

export interface Dockerfile {
  /** The text to build. Its lines have the numbers that they have in the source. */
  readonly text: string;
  /** Images it takes from outside, each once, as written but with variables filled in. */
  readonly images: readonly string[];
  /** Secrets that it mounts. */
  readonly secrets: readonly SecretUse[];
  /** One that the repository brings has commands with a cache, which may hold what an earlier build made of older files. */
  readonly keepsBuilt: boolean;
  /** The id under which the text asks for a secret. */
  readonly secretId: (name: string) => string;
  /** What the engine says of the text, in the words of the source. */
  readonly shown: (message: string) => string;
}

/** @throws OrkestrError ORK_DOCKERFILE_REFUSED, ORK_BUILD_FEATURE, ORK_BUILD_SECRET */
export function readDockerfile(request: DockerfileRequest): Dockerfile {
  const { engineVersion, environmentId, secrets, buildArgs, target } = request;
  checkBuildArgs(buildArgs);
  // As every engine reads them; the parsers of different age do not agree on what a lone return is.
  const source = request.text.replace(/^\uFEFF/, '').replaceAll(/\r\n?/g, '\n');
  const stripped = stripSyntax(source);
  const text = request.origin === 'generated' ? exportSecrets(stripped.text, secrets) : null;
  const built = text?.text ?? stripped.text;
  const list = readInstructions(built, stripped.escape, !isOlder(engineVersion, HERE_DOCUMENTS.engine));
  checkFeatures(list, engineVersion);
  checkTarget(target, list);
  const idPrefix = `${environmentId}-`;
  const mounts = readMounts(list, idPrefix);
  checkSecrets(mounts.secrets, new Set(secrets));
  return {
    text: replace(built, mounts.replacements, stripped.escape),
    images: externalImages(list, { platform: platformArgs(request.architecture), buildArgs }),
    secrets: mounts.secrets,
    keepsBuilt: mounts.hasCache && request.origin === 'repository',
    secretId: (name) => `${idPrefix}${name}`,
    shown: (message) => shown(message, built, mounts.replacements, text?.added ?? []),
  };
}

/** Here and not where settings are read, so that it is also said of a plan or a release that was stored before. */
function checkBuildArgs(buildArgs: DockerfileRequest['buildArgs']): void {
  const name = Object.keys(buildArgs).find((one) => /^BUILDKIT_/i.test(one));
  if (name === undefined) return;
  throw new OrkestrError(
    'ORK_DOCKERFILE_REFUSED',
    `The build arg ${name.slice(0, 100)} is refused: names that begin with BUILDKIT_ are instructions to the build engine, such as another frontend, and not ARGs of the Dockerfile. Remove it from buildArgs.`,
  );
}

/** Args that FROM lines may use without an ARG line (Dockerfile reference, "Automatic platform ARGs"). */
function platformArgs(architecture: string): Record<string, string> {
  const each = (prefix: string): Record<string, string> => ({
    [`${prefix}OS`]: 'linux',
    [`${prefix}ARCH`]: architecture,
    [`${prefix}PLATFORM`]: `linux/${architecture}`,
  });
  return { ...each('BUILD'), ...each('TARGET') };
}

function checkTarget(target: string | undefined, list: readonly Instruction[]): void {
  if (target === undefined) return;
  const names = stageNames(list);
  const count = list.filter(({ name }) => name === 'FROM').length;
  if (names.includes(target.toLowerCase()) || (/^\d+$/.test(target) && Number(target) < count)) return;
  const known =
    names.length === 0 ? 'none of its stages has a name' : `its stages are ${names.join(', ').slice(0, 500)}`;
  throw new OrkestrError(
    'ORK_DOCKERFILE_REFUSED',
    `The Dockerfile has no stage "${target}", which the setting target names: ${known}.`,
  );
}

/** A piece that goes over several lines becomes one line; as many follow as it had, so that numbers of lines stay right. */
function replace(text: string, replacements: readonly Replacement[], escape: string): string {
  let out = '';
  let at = 0;
  for (const { start, end, text: instead } of replacements) {
    const lines = text.slice(start, end).split('\n').length - 1;
    out += text.slice(at, start) + instead + ` ${escape}\n`.repeat(lines);
    at = end;
  }
  return out + text.slice(at);
}

function shown(message: string, text: string, replacements: readonly Replacement[], added: readonly string[]): string {
  const written = new Map(replacements.map(({ start, end, text: instead }) => [instead, text.slice(start, end)]));
  const source = [...written].reduce((words, [instead, original]) => words.replaceAll(instead, original), message);
  return added.reduce((words, piece) => words.replaceAll(piece, ''), source);
}
