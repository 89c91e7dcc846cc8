/** Every secret that this host knows, only for redacting other texts. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPayloads } from '../../journal/snapshot.ts';

/** Parts of a job in which every text is a secret, whatever its own name. */
const SECRET_PART = /env|secret|token|password|credential|registr|auth|key/i;

interface KnownSecrets {
  readonly values: readonly string[];
  /** Why some of them are unknown, for the reader of the archive; empty: all are known. */
  readonly gaps: readonly string[];
}

/** All secrets that this host knows. What could not be read is a gap, which the archive then mentions. */
export async function knownSecrets(stateFolder: string): Promise<KnownSecrets> {
  const files = await Promise.all(['host-key.pem', 'secret.key'].map((name) => readOr(join(stateFolder, name))));
  try {
    const payloads = await readPayloads(stateFolder);
    return { values: [...files, ...payloads.flatMap((payload) => secretTexts(payload, false))], gaps: [] };
  } catch (error) {
    // A damaged journal, or another key: what looks like a secret is still redacted.
    const why = error instanceof Error ? error.message : String(error);
    return { values: files, gaps: [`the journal's own secrets are not known: ${why}`] };
  }
}

/** Texts below a part that holds secrets. */
function secretTexts(value: unknown, secret: boolean): string[] {
  if (typeof value === 'string') return secret ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => secretTexts(part, secret || SECRET_PART.test(name)));
}

const readOr = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => ''); // absent: nothing to hide
