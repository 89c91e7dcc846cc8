/** Images between two engines of this host, as a stream: never a temporary file. */
import type { Readable } from 'node:stream';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Engine } from '../lib/engine.ts';
import { readAnswer } from './engine-answer.ts';

/** A large image on a slow disk. */
const TRANSFER_TIMEOUT_MS = 15 * 60_000;

/** Copies the image `reference` with its tag. @throws OrkestrError ORK_DISK_FULL, ORK_SANDBOX, the engine's codes */
export async function transferImage(from: Engine, to: Engine, reference: string, signal: AbortSignal): Promise<void> {
  const options = { timeoutMs: TRANSFER_TIMEOUT_MS, signal };
  await from
    .call(
      `save ${reference}`,
      async (docker) => {
        const tar = (await docker.getImage(reference).get()) as Readable;
        try {
          await to.call(
            `load ${reference}`,
            async (target, abortSignal) => {
              const answer = await readAnswer(await target.loadImage(tar, { abortSignal }));
              if (answer.error !== null) throw new Error(answer.error);
            },
            options,
          );
        } finally {
          tar.destroy(); // nothing more to read, or nobody to read it
        }
      },
      options,
    )
    .catch((error: unknown) => {
      if (error instanceof OrkestrError) throw error;
      throw new OrkestrError('ORK_SANDBOX', `The image ${reference} could not be handed over between the engines.`, {
        evidence: [error instanceof Error ? error.message : String(error)],
        cause: error,
      });
    });
}
