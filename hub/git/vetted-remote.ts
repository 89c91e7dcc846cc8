/**
 * Vets an external repository URL given by a member: checks its addresses like those of notifications, and pins git to
 * them.
 */
import { request } from 'undici';
import { OrkestrError } from '../../protocol/errors.ts';
import { GitUrl } from '../../protocol/ids.ts';
import type { CoreDeps } from '../deps.ts';
import { allowedAddresses, type ResolvedAddress } from '../outbound/addresses.ts';
import { dialling } from '../outbound/post.ts';

/** Path below the repository's URL that git requests from any server (gitprotocol-http(5)). */
const ASKED = '/info/refs';
/** Limit for the body of an answer: only the head is needed. */
const MAX_ANSWER_BYTES = 65_536;
const SERVICE = '?service=git-upload-pack';

export interface VettedRemote {
  /** The vetted URL in its canonical form. */
  readonly url: string;
  /** "name=value", for git. */
  readonly config: readonly string[];
  /** Undefined: the hub itself. */
  readonly addresses: readonly [ResolvedAddress, ...ResolvedAddress[]] | undefined;
}

/**
 * @param given a GitUrl
 * @throws OrkestrError ORK_REPO_ADDRESS, ORK_REPO_UNREACHABLE when its name cannot be resolved, ORK_URL_REFUSED
 */
export async function vetRemote(
  deps: Pick<CoreDeps, 'config' | 'hubUrl'>,
  given: string,
  signal: AbortSignal,
): Promise<VettedRemote> {
  if (!URL.canParse(given)) throw new OrkestrError('ORK_URL_REFUSED', 'The repository URL is not allowed.');
  const { href: url, origin, protocol, hostname, port } = new URL(given);
  const config = ['http.followRedirects=false'];
  // The hub itself is exempt: it serves itself nothing that it would not serve to any client.
  if (origin === new URL(deps.hubUrl()).origin) return { url, config, addresses: undefined };
  const addresses = await judged(deps, hostname, signal);
  const listed = addresses.map(({ address, family }) => (family === 6 ? `[${address}]` : address)).join(',');
  // git before 2.37 ignores this option and resolves the name again.
  const pinned = `http.curloptResolve=${hostname}:${port || (protocol === 'https:' ? '443' : '80')}:${listed}`;
  return { url, config: [...config, pinned], addresses };
}

/**
 * The target of the server's redirect, as a repository URL; undefined when it is no repository or cannot be determined.
 */
export async function redirectOf({ url, addresses }: VettedRemote, signal: AbortSignal): Promise<string | undefined> {
  if (addresses === undefined) return undefined;
  const asked = new URL(`${url.replace(/\/$/, '')}${ASKED}${SERVICE}`);
  const agent = dialling(addresses);
  try {
    const { headers, body } = await request(asked, { signal, dispatcher: agent });
    await body.dump({ limit: MAX_ANSWER_BYTES, signal });
    return repositoryAt(String(headers.location), asked);
  } catch {
    return undefined; // git has already reported its error with that server
  } finally {
    await agent.destroy();
  }
}

/** Never downgrades from https to http. */
function repositoryAt(location: string, asked: URL): string | undefined {
  const { protocol, href } = new URL(location, asked);
  const end = `${ASKED}${SERVICE}`;
  if (!href.endsWith(end) || (asked.protocol === 'https:' && protocol !== 'https:')) return undefined;
  return GitUrl.safeParse(href.slice(0, -end.length)).data;
}

async function judged(
  { config }: Pick<CoreDeps, 'config'>,
  hostname: string,
  signal: AbortSignal,
): Promise<readonly [ResolvedAddress, ...ResolvedAddress[]]> {
  try {
    return await allowedAddresses(config.notify, hostname, signal);
  } catch (cause) {
    if (!(cause instanceof OrkestrError)) throw cause;
    const code = cause.code === 'ORK_NOTIFY_ADDRESS' ? 'ORK_REPO_ADDRESS' : 'ORK_REPO_UNREACHABLE';
    throw new OrkestrError(code, cause.message, { cause });
  }
}
