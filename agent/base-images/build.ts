/**
 * Builds base images locally, for hosts without access to an image registry, from Debian packages, Node.js from the npm
 * registry, and the machine's CA bundle. A label holds a digest of an image's inputs, so nothing is built twice.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Engine } from '../lib/engine.ts';
import { LABEL } from '../lib/labels.ts';
import { chooseRecipe, type Chosen } from './choose.ts';
import { findMirror, withSuite } from './mirror.ts';
import { installNpmPackage } from './npm.ts';
import { type BaseRecipe, CA_BUNDLE, DEBIAN_RELEASE } from './recipe.ts';
import { RECIPES } from './recipes/index.ts';
import { applyRecipe, bootstrap, copyTrust, installPackages, packTree, slim, unpackTree } from './tree.ts';
import { inWorkFolder } from './work-folder.ts';

/** Allows for importing a whole tree on a slow disk. */
const IMPORT_TIMEOUT_MS = 10 * 60_000;

interface BaseImageOptions {
  /** Image name per kind, including `debian`. */
  readonly names: Readonly<Record<string, string>>;
  /** A folder for the trees, cleaned up afterwards. Must not be mounted nodev or noexec. */
  readonly workDirectory: string;
  /** Rebuilds even if nothing changed, and replaces an image of that name that is not ours. */
  readonly force?: boolean;
  readonly onProgress: (line: string) => void;
  readonly signal?: AbortSignal;
}

interface BaseImage {
  readonly kind: string;
  readonly name: string;
  readonly id: string;
  readonly bytes: number;
  /** False if it already existed. */
  readonly made: boolean;
}

interface Making {
  readonly engine: Engine;
  readonly options: BaseImageOptions;
}

/**
 * Builds the images of `kinds` (`python`, `node:24`), and debian, which the others are based on.
 * @throws OrkestrError ORK_BASE_IMAGE, the engine's codes
 */
export async function buildBaseImages(
  engine: Engine,
  kinds: readonly string[],
  options: BaseImageOptions,
): Promise<readonly BaseImage[]> {
  const { names } = options;
  const chosen = [...new Set(kinds)].filter((kind) => kind !== 'debian').map((kind) => chooseRecipe(kind, names));
  const making: Making = { engine, options };
  const made: BaseImage[] = [];
  for (const one of [chooseRecipe('debian', names), ...chosen]) made.push(await ensureImage(making, one));
  return made;
}

async function ensureImage(making: Making, chosen: Chosen): Promise<BaseImage> {
  const { options } = making;
  const { recipe, name } = chosen;
  const digest = await digestOf(recipe);
  const present = await look(making.engine, name);
  if (present !== null && options.force !== true) {
    const recipeLabel = present.labels[LABEL.baseRecipe];
    if (recipeLabel === digest || recipeLabel === undefined) {
      const why = recipeLabel === undefined ? 'an image of that name exists' : 'up to date';
      options.onProgress(`${name}: ${why}, nothing to do`);
      return { kind: recipe.kind, name, id: present.id, bytes: present.bytes, made: false };
    }
  }
  await inWorkFolder(options.workDirectory, async (work) => {
    await makeTree(making, chosen, work);
    options.signal?.throwIfAborted();
    options.onProgress(`${name}: handing it to the engine`);
    await importTree(making.engine, recipe, join(work, 'tree'), name, digest);
  });
  const image = await look(making.engine, name);
  if (image === null) throw new OrkestrError('ORK_BASE_IMAGE', `Docker Engine accepted ${name} but does not have it.`);
  options.onProgress(`${name}: ${Math.round(image.bytes / 1_000_000)} MB`);
  return { kind: recipe.kind, name, id: image.id, bytes: image.bytes, made: true };
}

async function makeTree({ engine, options }: Making, { recipe, name }: Chosen, work: string): Promise<void> {
  const { suite } = recipe;
  const release = await findMirror(DEBIAN_RELEASE);
  const mirror = suite === undefined ? release : withSuite(release, suite);
  const tree = join(work, 'tree');
  if (recipe.from === 'debootstrap') {
    options.onProgress(`${name}: Debian from ${mirror.main}`);
    await failAsBaseImage(name, bootstrap(tree, mirror, recipe.packages, DEBIAN_RELEASE));
  } else {
    const debian = chooseRecipe('debian', options.names).name;
    options.onProgress(`${name}: taking ${debian}`);
    await unpackTree(tree, await exportImage(engine, debian));
    options.onProgress(`${name}: installing ${recipe.packages.join(' ')}`);
    await failAsBaseImage(name, installPackages(tree, mirror, recipe.packages, suite));
  }
  for (const wanted of recipe.npmPackages ?? []) {
    if (wanted.cpu !== undefined && wanted.cpu !== process.arch) continue;
    options.onProgress(`${name}: ${wanted.name} ${wanted.version} from the npm registry`);
    await installNpmPackage(tree, work, wanted);
  }
  await applyRecipe(tree, recipe);
  await copyTrust(tree);
  await slim(tree);
}

async function failAsBaseImage(name: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (cause) {
    throw new OrkestrError('ORK_BASE_IMAGE', `The packages of the base image ${name} could not be installed.`, {
      evidence: [cause instanceof Error ? cause.message : String(cause)],
      cause,
    });
  }
}

/** The files of an image as a tar stream. Removes the container used for the export when the stream closes. */
async function exportImage(engine: Engine, name: string): Promise<Readable> {
  const container = await engine.call('create a container for export', (docker, abortSignal) =>
    docker.createContainer({ Image: name, Cmd: ['true'], NetworkDisabled: true, abortSignal }),
  );
  const remove = (): Promise<unknown> => engine.call('remove the container of an export', () => container.remove());
  try {
    const tar = (await engine.call('export an image', (_docker, abortSignal) =>
      container.export({ abortSignal }),
    )) as Readable;
    tar.once('close', () => void remove().catch(() => undefined)); // a container that never started does no harm
    return tar;
  } catch (error) {
    await remove();
    throw error;
  }
}

async function importTree(
  engine: Engine,
  recipe: BaseRecipe,
  tree: string,
  name: string,
  digest: string,
): Promise<void> {
  const [repo, tag] = splitName(name);
  const env = { ...envOf(recipe.from), ...recipe.env };
  const changes = [
    ...Object.entries(env).map(([key, value]) => `ENV ${key}=${JSON.stringify(value)}`),
    `LABEL ${LABEL.baseRecipe}=${digest}`,
    `CMD ${JSON.stringify(recipe.command)}`,
  ];
  const { tar, done } = packTree(tree);
  const [answer] = await Promise.all([
    engine.call(
      `import ${name}`,
      async (docker, abortSignal) => {
        const stream = await docker.importImage(tar, { repo, tag, changes, abortSignal });
        return (await Array.fromAsync(stream as AsyncIterable<Buffer>)).map(String).join('');
      },
      { timeoutMs: IMPORT_TIMEOUT_MS },
    ),
    done,
  ]);
  const failed = /"error":"([^"]*)"/.exec(answer);
  if (failed !== null) throw new OrkestrError('ORK_BASE_IMAGE', `The engine refused ${name}: ${failed[1]}`);
}

/** Variables that an image based on debian inherits. */
function envOf(from: BaseRecipe['from']): Readonly<Record<string, string>> {
  return from === 'debian' ? (RECIPES.find(({ kind }) => kind === 'debian')?.env ?? {}) : {};
}

function splitName(name: string): [repo: string, tag: string] {
  const at = name.lastIndexOf(':');
  return at > name.lastIndexOf('/') ? [name.slice(0, at), name.slice(at + 1)] : [name, 'latest'];
}

async function digestOf(recipe: BaseRecipe): Promise<string> {
  const base = RECIPES.find(({ kind }) => kind === 'debian');
  return createHash('sha256')
    .update(JSON.stringify([recipe, base, process.arch]))
    .update(await readFile(CA_BUNDLE))
    .digest('hex');
}

async function look(
  engine: Engine,
  name: string,
): Promise<{ id: string; bytes: number; labels: Readonly<Record<string, string>> } | null> {
  const found = await engine.call(`look for image ${name}`, (docker, abortSignal) =>
    docker.listImages({ filters: { reference: [name] }, abortSignal }),
  );
  const [image] = found;
  return image === undefined ? null : { id: image.Id, bytes: image.Size, labels: image.Labels ?? {} };
}
