/** One order, from the request to the certificate (RFC 8555 section 7.4). */
import { generateKeyPairSync } from 'node:crypto';
import type { Authorization, Client, Order } from 'acme-client';
import type { Challenges } from './challenges.ts';
import { loadAcme } from './client.ts';
import { AcmeProblem, refusalOf } from './problem.ts';

/** Challenge types to prove that a host is ours; an order uses one of them. */
export type ChallengeType = 'http-01' | 'tls-alpn-01';

interface OrderRequest {
  readonly host: string;
  /** In order of preference. */
  readonly challengeTypes: readonly ChallengeType[];
  /** Id of the certificate that this one replaces (RFC 9773 section 5): CAs exempt such orders from their limits. */
  readonly replaces: string | null;
  /** An undecided order of an earlier try for the host, to continue instead of placing another. */
  readonly begun: BegunOrder | null;
}

/** An order whose host has been proved, and the key for its certificate. */
export interface BegunOrder {
  readonly order: Order;
  readonly privateKey: string;
}

interface OrderContext {
  readonly client: Client;
  readonly challenges: Challenges;
  /** Resolves after that many ms; rejects when the proxy ends. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Called as soon as the CA may issue, however long it takes to. */
  readonly begun: (order: BegunOrder) => void;
  /** The CA's name in messages. */
  readonly who: string;
}

/** The result of an order, in PEM. */
export interface Issued {
  readonly chain: string;
  readonly privateKey: string;
}

/** Waits between polls. The CA validates several times, from several places, so we must be the more patient. */
const POLLS_MS = [
  30, 70, 100, 200, 300, 500, 1000, 1000, 2000, 2000, 3000, 5000, 5000, 10_000, 15_000, 15_000, 30_000, 30_000,
];

/** @throws AcmeProblem with the CA's reason */
export async function placeOrder(request: OrderRequest, context: OrderContext): Promise<Issued> {
  const { client, who } = context;
  const { order, privateKey } = request.begun ?? (await begin(request, context));
  const ready = await poll(
    context,
    () => client.getOrder(order),
    ({ status }) => status !== 'pending',
  );
  if (ready.status === 'invalid') throw refusalOf(who, ready.error);
  // An order that is continued may be finalized already.
  if (ready.status === 'ready') await finalize(request.host, { order, privateKey }, client);
  const done = await poll(
    context,
    () => client.getOrder(order),
    ({ status }) => status === 'valid' || status === 'invalid',
  );
  if (done.status !== 'valid') throw refusalOf(who, done.error);
  return { chain: await client.getCertificate(done), privateKey };
}

async function begin(request: OrderRequest, context: OrderContext): Promise<BegunOrder> {
  const order = await createOrder(request, context.client);
  await authorize(request, order, context);
  // A new key each time: a leaked one is useless after the renewal.
  const begun = { order, privateKey: makeKey() };
  context.begun(begun);
  return begun;
}

async function finalize(host: string, { order, privateKey }: BegunOrder, client: Client): Promise<void> {
  const { crypto } = await loadAcme();
  const [, csr] = await crypto.createCsr({ altNames: [host] }, privateKey);
  await client.finalizeOrder(order, csr);
}

/** PEM of a new P-256 key, the type with the fastest handshakes among those that every client supports. */
export function makeKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

async function createOrder({ host, replaces }: OrderRequest, client: Client): Promise<Order> {
  const order = { identifiers: [{ type: 'dns', value: host }] };
  if (replaces === null) return client.createOrder(order);
  try {
    return await client.createOrder({ ...order, replaces } as typeof order);
  } catch (error) {
    // RFC 9773 section 5: a CA may refuse the field, each CA with its own problem type (the certificate was already
    // replaced, or belongs to a lost account). Then place an ordinary order.
    if (!(error instanceof AcmeProblem) || error.code !== 'ORK_ACME_REFUSED') throw error;
    return client.createOrder(order);
  }
}

async function authorize(request: OrderRequest, order: Order, context: OrderContext): Promise<void> {
  const { client, challenges, who } = context;
  const [authorization] = await client.getAuthorizations(order);
  // A CA may remember an earlier proof.
  if (!authorization || authorization.status === 'valid') return;
  const challenge = choose(authorization, request, who);
  const answer = await client.getChallengeKeyAuthorization(challenge);
  const prove = async (): Promise<void> => {
    await client.completeChallenge(challenge);
    const isOver = ({ status }: Authorization): boolean => status !== 'pending';
    const after = await poll(context, async () => (await client.getAuthorizations(order))[0] ?? authorization, isOver);
    if (after.status === 'valid') return;
    throw refusalOf(who, after.challenges.find(({ error }) => error !== undefined)?.error);
  };
  if (challenge.type === 'http-01') return challenges.whileHttp(challenge.token, answer, prove);
  const { crypto } = await loadAcme();
  const [privateKey, chain] = await crypto.createAlpnCertificate(authorization, answer, makeKey());
  return challenges.whileAlpn(request.host, { chain: chain.toString(), privateKey: privateKey.toString() }, prove);
}

function choose(authorization: Authorization, { host, challengeTypes }: OrderRequest, who: string) {
  for (const wanted of challengeTypes) {
    const found = authorization.challenges.find(({ type }: { type: string }) => type === wanted);
    if (found) return found;
  }
  throw new AcmeProblem('ORK_ACME_REFUSED', `${who} offers none of ${challengeTypes.join(', ')} for ${host}`);
}

async function poll<T>({ sleep, who }: OrderContext, look: () => Promise<T>, isOver: (seen: T) => boolean): Promise<T> {
  for (const ms of POLLS_MS) {
    const seen = await look();
    if (isOver(seen)) return seen;
    await sleep(ms);
  }
  throw new AcmeProblem('ORK_ACME_UNREACHABLE', `${who} did not decide in time`);
}
