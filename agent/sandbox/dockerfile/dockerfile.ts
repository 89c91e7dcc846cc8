/** Checks a Dockerfile before its build, and produces the text that is built in its place. */
import { OrkestrError } from '../../../protocol/errors.ts';
import { checkFeatures, HERE_DOCUMENTS, isOlder } from './features.ts';
import { externalImages, stageNames } from './images.ts';
import { type Instruction, readInstructions } from './instructions.ts';
import { checkSecrets, type Replacement, readMounts, type SecretUse } from './mounts.ts';
import { exportSecrets } from './secret-exports.ts';
import { stripSyntax } from './syntax.ts';

export interface DockerfileRequest {
  readonly text: string;
  /** A generated one passes all secrets to install and build commands; one of the repository mounts its own. */
  readonly origin: 'repository' | 'generated';
  /** Version of the engine that will build it: "20.10.24". */
  readonly engineVersion: string;
  /** Its architecture in Go's notation: "amd64". */
  readonly architecture: string;
  /** Caches and secrets are restricted to this environment. */
  readonly environmentId: string;
  /** Names of the build secrets that are set. */
  readonly secrets: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Stage to build, by name or number; absent: the last. */
  readonly target?: string | undefined;
}

export interface Dockerfile {
  /** The text to build, with the same line numbers as the source. */
  readonly text: string;
  /** External images without duplicates, as written but with variables expanded. */
  readonly images: readonly string[];
  /** Secrets that it mounts. */
  readonly secrets: readonly SecretUse[];
  /** It comes from the repository and mounts a cache, which may hold what earlier builds made of older files. */
  readonly keepsBuilt: boolean;
  /** The id by which the text requests a secret. */
  readonly secretId: (name: string) => string;
  /** Translates an engine message about the text back to the source. */
  readonly shown: (message: string) => string;
}

/** @throws OrkestrError ORK_DOCKERFILE_REFUSED, ORK_BUILD_FEATURE, ORK_BUILD_SECRET */
export function readDockerfile(request: DockerfileRequest): Dockerfile {
  const { engineVersion, environmentId, secrets, buildArgs, target } = request;
  checkBuildArgs(buildArgs);
  // Line ends as every engine reads them; parsers of different versions disagree on a lone carriage return.
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

/** Checked here rather than where settings are read, so that it also applies to stored plans and releases. */
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

/** A multi-line piece becomes one line followed by as many empty continuation lines, to preserve line numbers. */
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
