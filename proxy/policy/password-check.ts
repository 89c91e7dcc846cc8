/**
 * Checks passwords. A password not seen before costs a scrypt (16 MiB, tens of ms of one core), so everything is
 * limited: how many run, how many wait, how many wrong tries a client has. Right ones are remembered.
 */
import { createHash, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { PASSWORD_COST } from '../../protocol/edge.ts';
import type { EdgeSettings } from '../../protocol/edge.ts';
import type { Clock } from '../clock.ts';
import { Clients } from './client-rates.ts';
import type { Rate } from './client-rates.ts';

/** Two of the four threads of libuv's pool: files, DNS and compression need the others. */
const MAX_RUNNING = 2;
/** Passwords of all clients that wait for a thread: less than two seconds of work. */
const MAX_WAITING = 32;
/** Different passwords of one client that run or wait. A browser sends one, many times. */
const MAX_PER_CLIENT = 4;
/** Wrong passwords of one client: ten at once, then ten a minute. */
const WRONG_TRIES: Rate = { intervalMs: 6000, atOnce: 10 };
/** Right passwords remembered, all environments together. */
const MAX_REMEMBERED = 1000;

/** `often`: too many wrong tries, the next is checked after `waitMs`. `busy`: too many checks run or wait. */
export type Verdict = { readonly is: 'right' | 'wrong' | 'busy' } | { readonly is: 'often'; readonly waitMs: number };

interface User {
  readonly name: Buffer;
  readonly salt: Buffer;
  readonly key: Buffer;
}

interface Users {
  readonly all: readonly User[];
  /** Changes with the users and their passwords, so that remembered passwords no longer count. */
  readonly digest: string;
}

/** Decodes the settings for scrypt. @param settings as validated by protocol/edge.ts: `scrypt:SALT:KEY` in base64 */
export function makeUsers(settings: EdgeSettings['basicAuth']): Users {
  const all = settings.map(({ user, password }) => {
    const [, salt = '', key = ''] = password.split(':');
    return { name: Buffer.from(user), salt: Buffer.from(salt, 'base64'), key: Buffer.from(key, 'base64') };
  });
  return { all, digest: createHash('sha256').update(JSON.stringify(settings)).digest('base64') };
}

interface Pending {
  readonly client: string;
  readonly verdict: Promise<Verdict>;
}

export class PasswordCheck {
  readonly #clock: Clock;
  readonly #maxWaiting: number;
  /** Random per process, so that the remembered digests disclose nothing about a password outside of the process. */
  readonly #secret = randomBytes(32);
  readonly #remembered = new Set<string>();
  readonly #pending = new Map<string, Pending>();
  readonly #wrong: Clients;
  readonly #turns: (() => void)[] = [];
  #running = 0;

  /** @param wrong counts clients' wrong tries, here and in other processes */
  constructor(clock: Clock, wrong: Clients = new Clients(), maxWaiting: number = MAX_WAITING) {
    this.#clock = clock;
    this.#wrong = wrong;
    wrong.keepTo(WRONG_TRIES, clock.monotonic());
    this.#maxWaiting = maxWaiting;
  }

  /**
   * @param authorization the field's value as sent
   * @param client as `clientNetwork` returns it
   * @returns a verdict at once when no scrypt is needed
   */
  check(users: Users, authorization: string | undefined, client: string): Verdict | Promise<Verdict> {
    const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? '')?.[1];
    if (encoded === undefined) return { is: 'wrong' };
    const id = createHmac('sha256', this.#secret).update(users.digest).update(encoded).digest('base64');
    if (this.#remembered.has(id)) return { is: 'right' };
    const pending = this.#pending.get(id);
    if (pending) return pending.verdict;
    const waitMs = this.#wrong.wait(client, this.#clock.monotonic());
    if (waitMs > 0) return { is: 'often', waitMs };
    if (this.#isBusyFor(client)) return { is: 'busy' };
    const verdict = this.#compute(users, Buffer.from(encoded, 'base64'), id, client);
    this.#pending.set(id, { client, verdict });
    return verdict;
  }

  #isBusyFor(client: string): boolean {
    if (this.#turns.length >= this.#maxWaiting) return true;
    const own = [...this.#pending.values()].filter((pending) => pending.client === client);
    return own.length >= MAX_PER_CLIENT;
  }

  async #compute(users: Users, credentials: Buffer, id: string, client: string): Promise<Verdict> {
    await this.#turn();
    try {
      const right = await isRight(users, credentials);
      if (right) this.#remember(id);
      else this.#wrong.take(client, this.#clock.monotonic());
      return { is: right ? 'right' : 'wrong' };
    } finally {
      this.#pending.delete(id);
      // Pass the slot on directly, so that no newcomer can take it first.
      const next = this.#turns.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }

  async #turn(): Promise<void> {
    if (this.#running < MAX_RUNNING) this.#running += 1;
    else await new Promise<void>((resolve) => this.#turns.push(resolve));
  }

  #remember(id: string): void {
    const [oldest] = this.#remembered;
    if (this.#remembered.size >= MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
    this.#remembered.add(id);
  }
}

/** An unknown name costs a scrypt too, so that timing does not reveal which names exist. */
async function isRight({ all }: Users, credentials: Buffer): Promise<boolean> {
  const colon = credentials.indexOf(':');
  const name = colon < 0 ? credentials : credentials.subarray(0, colon);
  const password = credentials.subarray(name.length + 1);
  const user = all.find((user) => user.name.equals(name));
  const { salt, key } = user ?? { salt: Buffer.alloc(16), key: Buffer.alloc(32) };
  const derived = await derive(password, salt, key.length);
  return timingSafeEqual(derived, key) && user !== undefined;
}

function derive(password: Buffer, salt: Buffer, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, bytes, PASSWORD_COST, (error, derived) => (error ? reject(error) : resolve(derived)));
  });
}
