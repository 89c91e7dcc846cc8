/** Why a registry refused a push or pull, from the engine's error message. */
import { type ErrorCode } from '../../protocol/error-catalogue.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { registryOf } from './login.ts';

/**
 * Engines pass on the registry's error code (OCI distribution specification, "Error Codes") or an error of Go's net and
 * crypto packages. The first match counts: "denied" also occurs in the text after an "unauthorized".
 */
const MEANINGS: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/unauthorized|no basic auth credentials|authentication required/i, 'ORK_REGISTRY_LOGIN', 'wants another login'],
  [/denied|forbidden/i, 'ORK_REGISTRY_DENIED', 'does not allow it'],
  [
    /verification failed|digest mismatch|unexpected commit digest|did not match/i,
    'ORK_IMAGE_DIGEST',
    'gave other bytes',
  ],
  [/manifest unknown|name unknown|blob unknown|not found/i, 'ORK_IMAGE_GONE', 'does not have it'],
  [
    /refused|no such host|timeout|timed out|deadline exceeded|unreachable|no route|connection reset|\bEOF\b|x509|tls:|HTTP response to HTTPS client|server misbehaving/i,
    'ORK_REGISTRY_UNREACHABLE',
    'cannot be reached',
  ],
];

/** @param doing the failed operation: "The image x could not be pulled" */
export function refusalOf(doing: string, image: string, said: string): OrkestrError {
  const [, code, meaning] = MEANINGS.find(([words]) => words.test(said)) ?? [null, 'ORK_REGISTRY_FAILED', 'failed'];
  return new OrkestrError(code, `${doing}: the registry ${registryOf(image)} ${meaning}.`, {
    evidence: [said.trim()],
  });
}
