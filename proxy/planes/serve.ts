/** The server side of remote.ts: answers the calls of the process that holds the table. */
import { toErrorReport } from '../../protocol/errors.ts';
import { addTally } from '../upstream/tally.ts';
import type { Tally } from '../upstream/tally.ts';
import type { Channel } from './channel.ts';
import { CALLS, Down } from './messages.ts';
import type { Answers, Asks, CallName, Up } from './messages.ts';
import type { Planes } from './planes.ts';

/** Minimum time between tallies of a watch, ms. After a quiet time the first is sent at once. */
const TALLY_MS = 10;

/** Serves until the channel closes. */
export function servePlanes(channel: Channel, planes: Planes): void {
  const cancels = new Map<number, () => void>();
  const send = (up: Up): void => channel.send(up);
  channel.onMessage((message) => {
    const down = Down.safeParse(message);
    // The pipe also carries messages of other protocols.
    if (!down.success) return;
    const { data } = down;
    if (data.type === 'cancel') {
      cancels.get(data.seq)?.();
      cancels.delete(data.seq);
    } else if (data.name === 'watch') {
      const { upstreamId, targetId } = CALLS.watch.asks.parse(data.asks);
      const { seq } = data;
      const spaced = spaceOut((tally) => send({ type: 'tally', seq, tally }));
      const stop = planes.watch(upstreamId, targetId, (tally) => spaced.add(tally));
      cancels.set(seq, () => {
        stop();
        spaced.end();
      });
    } else void answer(planes, data, cancels).then(send);
  });
  channel.onClose(() => {
    for (const cancel of cancels.values()) cancel();
    cancels.clear();
  });
}

/** Never rejects: an error becomes a refusal. */
async function answer(
  planes: Planes,
  { seq, name, asks }: Extract<Down, { type: 'call' }>,
  cancels: Map<number, () => void>,
): Promise<Up> {
  const given = new AbortController();
  cancels.set(seq, () => given.abort());
  try {
    return { type: 'answer', seq, value: await perform(planes, name, asks, given.signal) };
  } catch (error) {
    const { code, message, evidence } = toErrorReport(error);
    return { type: 'refusal', seq, code, message, evidence: [...(evidence ?? [])] };
  } finally {
    cancels.delete(seq);
  }
}

type Performers = {
  readonly [N in CallName]: (planes: Planes, asks: Asks<N>, given: AbortSignal) => Promise<Answers<N> | object | void>;
};

const PERFORM: Performers = {
  put: (planes, entry) => planes.put(entry),
  amend: (planes, entry) => planes.amend(entry),
  remove: (planes, { id }) => planes.remove(id),
  drain: (planes, request, given) => planes.drain(request, given),
  hold: (planes, request) => planes.hold(request),
  resume: (planes, { id }) => planes.resume(id),
  watch: () => Promise.resolve(),
  counts: (planes, { id }) => planes.counts(id),
  metrics: (planes) => planes.metrics(),
  exchangeRates: async (planes, { elsewhere }) =>
    [...(await planes.exchangeRates(elsewhere))] as Answers<'exchangeRates'>,
  shareRoom: async (planes, { parts }) => [...(await planes.shareConcurrency(parts))],
  secure: (planes, change) => planes.secure(change),
  lose: (planes, { lost }) => planes.lose(lost),
};

/** A call's schema accepts exactly what its performer takes, but TypeScript cannot follow that through the name. */
async function perform(planes: Planes, name: CallName, asks: unknown, given: AbortSignal): Promise<unknown> {
  const act = PERFORM[name] as (planes: Planes, asks: unknown, given: AbortSignal) => Promise<unknown>;
  return (await act(planes, CALLS[name].asks.parse(asks), given)) ?? null;
}

function spaceOut(tell: (tally: Tally) => void): { add(tally: Tally): void; end(): void } {
  let waiting: Tally | null = null;
  let timer: NodeJS.Timeout | null = null;
  const flush = (): void => {
    timer = null;
    if (waiting === null) return;
    tell(waiting);
    waiting = null;
    timer = setTimeout(flush, TALLY_MS);
  };
  return {
    add: (tally) => {
      waiting = waiting === null ? tally : addTally(waiting, tally);
      if (timer === null) flush();
    },
    end: () => {
      if (timer !== null) clearTimeout(timer);
    },
  };
}
