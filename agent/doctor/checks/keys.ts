/** Keys of this host: they exist, are intact, and form a pair. */
import { join } from 'node:path';
import { readOptional } from '../../lib/files.ts';
import { KEY_FILE, keyPairOf } from '../../identity/host-key.ts';
import { defineCheck, when } from '../check.ts';

const SECRET_BYTES = 32;
/** The hub identifies this host by its name, so it keeps its id and apps under a new key. */
const NEW_KEY =
  'Restore it from a backup. Without a backup, run `orkestr hosts join-token NAME` with the name of this host, then here `orkestr-agent join --hub URL --token -`: the host keeps its id, and its apps keep running. Then run `systemctl restart orkestr-agent`.';

export const keys = defineCheck({
  name: 'keys',
  about: "The host's key pair and the key that seals stored secrets exist and are intact.",
  problems: {
    'host-key-missing': {
      level: 'fail',
      says: '{path} is missing: this host cannot authenticate to the hub.',
      mend: NEW_KEY,
    },
    'host-key-damaged': {
      level: 'fail',
      says: '{path} is not a complete ed25519 key pair: the hub refuses this host.',
      mend: NEW_KEY,
    },
    'secret-key-damaged': {
      level: 'fail',
      says: '{path} does not hold a key of 32 bytes: stored secrets cannot be opened.',
      mend: 'Restore it from a backup. Without a backup, run `rm {path}`, restart the agent and deploy again.',
    },
  },
  async gather({ config, identity }) {
    const hostPath = join(config.stateFolder, KEY_FILE);
    const secretPath = join(config.stateFolder, 'secret.key');
    const [host, secret] = [readOptional(hostPath), readOptional(secretPath)];
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
        ...when(host !== null && keyPairOf(host) === null, { problem: 'host-key-damaged', values: { path: hostPath } }),
        ...when(wrongLength, { problem: 'secret-key-damaged', values: { path: secretPath } }),
      ],
    };
  },
});
