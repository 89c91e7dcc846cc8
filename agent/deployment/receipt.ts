/** The receipt of a cutover: what the proxy counted around the flip, and the URLs of the app. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Domain } from '../../protocol/edge.ts';
import type { Settings } from '../../protocol/job.ts';
import type { CertificateList, DrainAnswer, FlipAnswer, FlipReceipt } from '../../protocol/proxy-admin.ts';
import type { CutoverReceipt } from '../../protocol/steps.ts';
import type { StepContext } from './step.ts';
import { upstreamOf } from './upstream.ts';

/** @param drained null if there was nothing to drain */
export async function makeReceipt(
  context: StepContext,
  answer: FlipAnswer,
  drained: DrainAnswer | null,
): Promise<CutoverReceipt> {
  const { job, ports } = context;
  const counted = (await countedReceipt(context, answer)) ?? (await patchedReceipt(context, answer, drained));
  const { certificates } = await optional<Pick<CertificateList, 'certificates'>>(context, 'certificates', {
    act: () => ports.proxy.certificates(),
    otherwise: { certificates: [] },
  });
  return { ...counted, urls: urlsOf(job.settings, certificates) };
}

/** What the proxy counted for this very flip; null if the proxy was restarted since. */
async function countedReceipt(context: StepContext, answer: FlipAnswer): Promise<FlipReceipt | null> {
  const { job, ports } = context;
  const receipt = await optional<FlipReceipt | null>(context, 'receipt', {
    act: () => ports.proxy.receipt(job.environment.id),
    otherwise: null,
  });
  const isThisFlip =
    receipt?.generation === answer.generation &&
    receipt.current.targetId === job.deploymentId &&
    receipt.previous?.targetId === answer.previous?.targetId;
  return isThisFlip ? receipt : null;
}

/** Built from the answers that came before the proxy was restarted, and from its table now. */
async function patchedReceipt(
  context: StepContext,
  { generation, flippedAt, previous }: FlipAnswer,
  drained: DrainAnswer | null,
): Promise<FlipReceipt> {
  const { job } = context;
  const upstream = await upstreamOf(context);
  const times = { firstRequestAt: null, lastRequestAt: null };
  const current = upstream?.targets.find(({ id }) => id === job.deploymentId);
  return {
    generation,
    flippedAt,
    previous: previous && {
      targetId: previous.targetId,
      requests: drained?.known === true ? drained.requests : previous.requests,
      errors: 0,
      ...times,
      inFlightAtFlip: previous.inFlight,
    },
    current: {
      targetId: job.deploymentId,
      requests: current?.requests ?? { served: 0, failed: 0 },
      errors: current?.errors ?? 0,
      ...times,
    },
    drain: drained && { ms: drained.ms, forced: drained.forced, streams: drained.streams },
    held: null,
    // Counted from zero since the restart, which came after the flip.
    failed: upstream?.failed ?? 0,
  };
}

/** For parts that a receipt can do without: a refusal is logged and does not fail a cutover that went well. */
async function optional<T>(
  { log }: StepContext,
  what: string,
  { act, otherwise }: { readonly act: () => Promise<T>; readonly otherwise: T },
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof OrkestrError) || error.code === 'ORK_PROXY_UNREACHABLE') throw error;
    log.line(`the proxy gives no ${what}: ${error.message}`);
    return otherwise;
  }
}

/** https if visitors are redirected to it or the proxy has a certificate for the host, else http. */
export function urlsOf(
  { domains, edge }: Pick<Settings, 'domains' | 'edge'>,
  certificates: readonly { readonly host: string }[],
): string[] {
  const covered = new Set(certificates.map(({ host }) => host));
  const isSecure = ({ host }: Domain): boolean =>
    edge.https === 'only' || covered.has(host) || covered.has(host.replace(/^[^.]+/, '*'));
  return domains.map((domain) => `${isSecure(domain) ? 'https' : 'http'}://${domain.host}${domain.pathPrefix}`);
}

/** The counts in words, for the step's log. */
export function describeReceipt({ previous, current, held, failed, urls }: CutoverReceipt): string {
  const counted = [current, ...(previous === null ? [] : [previous])];
  const isQuiet = counted.every(({ requests }) => requests.served + requests.failed === 0) && failed === 0;
  // A web app that becomes a worker may still have had some.
  if (urls.length === 0 && isQuiet) return 'no requests: it has no domain';
  const sides = [
    `requests: ${previous?.requests.served ?? 0} by the old target, ${current.requests.served} by the new`,
    held && `${held.requests} held for at most ${Math.round(held.maxMs)} ms, ${held.refused} of them refused`,
    `${failed} failed`,
  ];
  return sides.filter((part) => part !== null).join(', ');
}
