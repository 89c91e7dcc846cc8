/** The base images of a release whose image is gone: the versions that it was built from, as far as they still exist. */
import type { Image } from '../../../protocol/steps.ts';
import { orNull } from '../../lib/engine.ts';
import { isPinned, nameParts, shortId } from '../handoff/image-name.ts';
import { transferImage } from '../handoff/transfer.ts';
import { type Supply, supplyImages } from './supply.ts';

/**
 * Makes the exact base images that `kept` was built from available in the sandbox under their names. Returns those
 * found, name → id; a missing name is no longer available in that version.
 */
export async function supplyKept(
  supply: Supply,
  names: readonly string[],
  kept: Pick<Image, 'baseImages' | 'baseDigests'>,
): Promise<Record<string, string>> {
  const had: Record<string, string> = {};
  for (const name of names) {
    const id = kept.baseImages[name];
    if (id === undefined || isPinned(name)) continue; // a digest fixes the version, wherever the image comes from
    if (await supplyVersion(supply, name, id, kept.baseDigests?.[name])) had[name] = id;
    else supply.log.line(`The base image ${name} is no longer available in the version used before (${shortId(id)})`);
  }
  return had;
}

async function supplyVersion(supply: Supply, name: string, id: string, digest: string | undefined): Promise<boolean> {
  const { host, sandbox, log, signal } = supply;
  if (!(await has(sandbox, id))) {
    if (await has(host, id)) {
      log.line(`Taking base image ${name} as it was (${shortId(id)}) from this host`);
      await transferImage(host, sandbox, id, signal, { as: name, log });
      return true;
    }
    if (digest === undefined || !(await pulled(supply, digest)) || !(await has(sandbox, id))) return false;
  }
  const { repository, tag } = nameParts(name);
  await sandbox.call(`name image ${name}`, (docker) => docker.getImage(id).tag({ repo: repository, tag }));
  return true;
}

const has = async (engine: Supply['host'], id: string): Promise<boolean> =>
  (await orNull(engine.call(`look for image ${id}`, (docker) => docker.getImage(id).inspect()))) !== null;

/** A registry may delete old versions: this is not a failure, since the build then takes and reports the newer one. */
async function pulled(supply: Supply, digest: string): Promise<boolean> {
  try {
    await supplyImages(supply, [digest]);
    return true;
  } catch (error) {
    supply.log.line(`${digest} cannot be pulled: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}
