/** Measures a build context before any of it is sent. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { BuildLimits } from '../../../protocol/job.ts';
import type { Clock } from '../../deployment/ports.ts';
import { humanSize, MIB } from '../../../protocol/size.ts';
import type { ContextEntry } from './context.ts';

/** Top-level names whose share of the context is tracked. */
const MAX_NAMES = 1000;
/** Past a limit, counting continues for this long, so that the message can state the full size. */
const COUNT_ON_MS = 3000;

type ContextLimits = Pick<BuildLimits, 'contextMiB' | 'contextFiles'>;

/**
 * All entries of a context within its limits. Links count as files of no size; files of the plan do not count.
 * @throws OrkestrError ORK_CONTEXT_TOO_LARGE; the reason of `signal`
 */
export async function takeContext(
  entries: AsyncIterable<ContextEntry>,
  limits: ContextLimits,
  clock: Pick<Clock, 'monotonic'>,
  signal: AbortSignal,
): Promise<readonly ContextEntry[]> {
  const taken: ContextEntry[] = [];
  const largest = { files: makeShares(), bytes: makeShares() };
  let files = 0;
  let bytes = 0;
  let brokenAt: number | null = null;
  let whole = true;
  for await (const entry of entries) {
    signal.throwIfAborted();
    if (isOfCheckout(entry)) {
      files += 1;
      const size = entry.kind === 'file' ? entry.size : 0;
      bytes += size;
      largest.files.add(entry.name, 1);
      largest.bytes.add(entry.name, size);
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
  const many = files > limits.contextFiles;
  const found = many ? `${files} files` : humanSize(bytes);
  const limit = many ? String(limits.contextFiles) : humanSize(limits.contextMiB * MIB);
  const most = many ? largest.files.most(files) : largest.bytes.most(bytes);
  const where = most === null ? '' : `, most of ${many ? 'them' : 'it'} in ${most}`;
  const text = `The build context is too large: ${whole ? '' : 'more than '}${found}, limit ${limit}${where}.`;
  throw new OrkestrError('ORK_CONTEXT_TOO_LARGE', text);
}

interface Shares {
  add(path: string, amount: number): void;
  /** The top-level name that holds more than half of `all`; null if there is none. */
  most(all: number): string | null;
}

function makeShares(): Shares {
  const shares = new Map<string, number>();
  return {
    add(path, amount) {
      const [name = ''] = path.split('/', 1);
      const share = shares.get(name);
      if (share !== undefined || shares.size < MAX_NAMES) shares.set(name, (share ?? 0) + amount);
    },
    most(all) {
      const [name] = [...shares].find(([, share]) => share > all / 2) ?? [];
      return name?.slice(0, 100) ?? null;
    },
  };
}

const isOfCheckout = (entry: ContextEntry): boolean =>
  entry.kind === 'link' || (entry.kind === 'file' && 'path' in entry.content);
