/** How large a build context is, counted before any of it is sent. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { BuildLimits } from '../../protocol/job.ts';
import type { Clock } from '../deployment/ports.ts';
import { humanSize } from '../lib/size.ts';
import type { ContextEntry } from './context.ts';

const MIB = 1_048_576;
/** Past a limit it is counted on for so long, that the message may name the whole. */
const COUNT_ON_MS = 3000;

type ContextLimits = Pick<BuildLimits, 'contextMiB' | 'contextFiles'>;

/**
 * All of a context that keeps within its limits. Links count as files without bytes, files of the plan do not count.
 * @throws OrkestrError ORK_CONTEXT_TOO_LARGE; the reason of `signal`
 */
export async function takeContext(
  entries: AsyncIterable<ContextEntry>,
  limits: ContextLimits,
  clock: Pick<Clock, 'monotonic'>,
  signal: AbortSignal,
): Promise<readonly ContextEntry[]> {
  const taken: ContextEntry[] = [];
  let files = 0;
  let bytes = 0;
  let brokenAt: number | null = null;
  let whole = true;
  for await (const entry of entries) {
    signal.throwIfAborted();
    if (isOfCheckout(entry)) {
      files += 1;
      bytes += entry.kind === 'file' ? entry.size : 0;
    }
    if (files <= limits.contextFiles && bytes <= limits.contextMiB * MIB) {
      taken.push(entry);
      continue;
    }
    brokenAt ??= clock.monotonic();
    if (clock.monotonic() - brokenAt <= COUNT_ON_MS) continue;
    whole = false;
    break;
  }
  if (brokenAt === null) return taken;
  const found = files > limits.contextFiles ? `${files} files` : humanSize(bytes);
  const limit = files > limits.contextFiles ? String(limits.contextFiles) : humanSize(limits.contextMiB * MIB);
  const text = `The build context is too large: ${whole ? '' : 'more than '}${found}, limit ${limit}.`;
  throw new OrkestrError('ORK_CONTEXT_TOO_LARGE', text);
}

const isOfCheckout = (entry: ContextEntry): boolean =>
  entry.kind === 'link' || (entry.kind === 'file' && 'path' in entry.content);
