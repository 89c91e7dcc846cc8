/** Secrets at rest: AES-256-GCM (NIST SP 800-38D) with a key file that only its owner can read. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { OrkestrError } from './errors.ts';
import { makePrivateFile } from './service/new-file.ts';

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const VERSION = 'v1';

export interface Sealer {
  /** Encrypts text. `context` (such as an id) is authenticated, so a sealed value cannot be moved to another row. */
  seal(text: string, context: string): string;
  /** @throws OrkestrError ORK_CONFIG when the key or the context differs, or the value was modified. */
  open(sealed: string, context: string): string;
}

/** A sealer with the key in `path`; creates the file with mode 0600 when it is absent. */
export function sealerFromKeyFile(path: string): Sealer {
  return makeSealer(loadOrMakeKey(path));
}

export function makeSealer(key: Buffer): Sealer {
  return {
    seal(text, context) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return `${VERSION}.${Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64')}`;
    },
    open(sealed, context) {
      const [version, encoded = ''] = sealed.split('.', 2);
      const bytes = Buffer.from(encoded, 'base64');
      try {
        if (version !== VERSION) throw new Error(`unknown version ${version}`);
        // Without a fixed length, a tag truncated to four bytes would be accepted too.
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES), {
          authTagLength: TAG_BYTES,
        })
          .setAAD(Buffer.from(context))
          .setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
        return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]).toString(
          'utf8',
        );
      } catch (cause) {
        throw new OrkestrError('ORK_CONFIG', 'A stored secret cannot be opened with this key file.', { cause });
      }
    },
  };
}

function loadOrMakeKey(path: string): Buffer {
  if (!existsSync(path)) makePrivateFile(path, randomBytes(KEY_BYTES).toString('base64'));
  const key = Buffer.from(readFileSync(path, 'utf8'), 'base64');
  if (key.length !== KEY_BYTES)
    throw new OrkestrError('ORK_CONFIG', `The key file ${path} does not hold a 32-byte key.`);
  return key;
}
