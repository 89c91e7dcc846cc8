/** Keys of this host: there, whole, and of one pair. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSignedBy, signText } from '../../../protocol/signing.ts';
import { defineCheck, when } from '../check.ts';

const SECRET_BYTES = 32;
const PROBE = 'orkestr-agent doctor';

export const keys = defineCheck({
  name: 'keys',
  about: "The host's key pair and the key that seals stored secrets are there and whole.",
  problems: {
    'host-key-missing': {
      level: 'fail',
      says: '{path} is not there: this host cannot prove who it is.',
      mend: 'Restore it from a backup, or `orkestr-agent leave` and join again.',
    },
    'host-key-damaged': {
      level: 'fail',
      says: '{path} is not a whole ed25519 key pair: the hub refuses this host.',
      mend: 'Restore it from a backup, or `orkestr-agent leave` and join again.',
    },
    'secret-key-damaged': {
      level: 'fail',
      says: '{path} does not hold a key of 32 bytes: stored secrets cannot be opened.',
      mend: 'Restore it from a backup. Without one: `rm {path}`, restart the agent and deploy again.',
    },
  },
  async gather({ config, identity }) {
    const hostPath = join(config.stateFolder, 'host-key.pem');
    const secretPath = join(config.stateFolder, 'secret.key');
    const [host, secret] = await Promise.all([readIfThere(hostPath), readIfThere(secretPath)]);
    return { hostPath, secretPath, host, secret, enrolled: (identity()?.hub ?? null) !== null };
  },
  judge({ hostPath, secretPath, host, secret, enrolled }) {
    const wrongLength = secret !== null && Buffer.from(secret, 'base64').length !== SECRET_BYTES;
    return {
      summary: [
        host === null ? 'no host key' : 'host key',
        secret === null ? 'no sealing key yet' : 'sealing key',
      ].join(', '),
      findings: [
        ...when(host === null && enrolled, { problem: 'host-key-missing', values: { path: hostPath } }),
        ...when(host !== null && !isPair(host), { problem: 'host-key-damaged', values: { path: hostPath } }),
        ...when(wrongLength, { problem: 'secret-key-damaged', values: { path: secretPath } }),
      ],
    };
  },
});

/** Both halves stand in one file: what the one signs, the other must accept. */
function isPair(text: string): boolean {
  const border = text.indexOf('-----BEGIN PUBLIC KEY-----');
  try {
    return isSignedBy(PROBE, signText(PROBE, text.slice(0, border)), text.slice(border));
  } catch {
    return false; // not even a private key
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
